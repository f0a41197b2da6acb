# What all models of one recipe share: the base, the dependencies, the server. Rendered by ci/packaging/image.py.
FROM sha256:1111111111111111111111111111111111111111111111111111111111111111 AS build
# Whatever has this label is swept away after the build.
LABEL io.slipway=stage
COPY . /build/
# Unpacks the wheels that the context carries, checked against the lock file, and trims them. No network, no pip.
RUN ["python3", "-I", "/build/install.py"]

FROM sha256:1111111111111111111111111111111111111111111111111111111111111111
LABEL io.slipway=image
# Two layers: a change of the server leaves the dependencies where they are, here and in every registry.
COPY --from=build /image/dependencies/ /
COPY --from=build /image/server/ /
ENV PYTHONPATH=/opt/slipway:/opt/slipway/site-packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MODEL_URI=/model \
    SLIPWAY_SERVING_HOST=0.0.0.0 \
    SLIPWAY_SERVING_PORT=8080
EXPOSE 8080
# A number, so that an orchestrator can see that it is not root; any other number works as well.
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["python3", "-P", "-m", "serving.healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python3", "-P", "-m", "serving"]
