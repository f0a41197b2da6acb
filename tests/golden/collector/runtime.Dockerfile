# What all releases of the collection service share: the base and the dependencies. Rendered by ci/packaging/image.py.
FROM sha256:1111111111111111111111111111111111111111111111111111111111111111 AS build
# Whatever has this label is swept away after the build.
LABEL io.slipway=stage
COPY . /build/
# Unpacks the wheels that the context carries, checked against the lock file, and trims them. No network, no pip.
RUN ["python3", "-I", "/build/install.py"]

FROM sha256:1111111111111111111111111111111111111111111111111111111111111111
LABEL io.slipway=image
COPY --from=build /image/dependencies/ /
# A volume takes this folder's owner and mode when it is first mounted there: for this user, and for any of group 0.
COPY --from=build --chown=65532:0 /image/folders/ /
# COLLECTOR_TOKENS names a file, and that one holds digests of tokens.
# hadolint ignore=DL3064
ENV PYTHONPATH=/bundle/code.zip:/opt/slipway/site-packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    COLLECTOR_BUNDLE=/bundle \
    COLLECTOR_HOST=0.0.0.0 \
    COLLECTOR_PORT=8080 \
    COLLECTOR_STORE=sqlite:////data/collector.db \
    COLLECTOR_WORK=/data/parquet \
    COLLECTOR_TOKENS=/data/tokens
EXPOSE 8080
# A number, so that an orchestrator can see that it is not root; any other number of group 0 works as well.
USER 65532:0
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["python3", "-P", "-m", "collector.healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python3", "-P", "-m", "collector"]
