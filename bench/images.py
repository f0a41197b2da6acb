"""
Images side by side: ours, and a plain FastAPI + pandas + scikit-learn one, on the same base, with the same model.

    python -m bench.images [--project flights] [--repeat 5] [--plain WHEELHOUSE]

Size on the base and with it, first build, rebuild when only the model changed, `docker run` to ready without a published
port (as servers run behind the router) and with one, and beside each what `docker run true` takes on the same base: the
engine's own share. Processor
seconds are those of the container until it was ready; a busy machine stretches them least. Medians; runs take turns. The
plain image is built as its tutorials do, from wheels in WHEELHOUSE (pip download fastapi uvicorn pandas scikit-learn
joblib); without that option it is left out. Prints a table; changes nothing but images named slipway/bench.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.engine import Docker
from ci.adapters.wheels import fill
from ci.model.bundle import digest
from ci.packaging import image, tars, wheelhouse
from ci.params_packaging import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.packaging.engine import Found

PUBLISHED = {"8080/tcp": ("127.0.0.1", None)}
PLAIN_APP = """
import joblib, pandas
from fastapi import FastAPI
app = FastAPI()
model = joblib.load('/app/model.joblib')
@app.get('/ready')
def ready(): return {'ready': True}
@app.post('/predict')
def predict(rows: list[dict]): return model.predict(pandas.DataFrame(rows)).tolist()
"""
PLAIN = """FROM {base}
COPY wheels/ /wheels/
COPY install.py model.joblib app.py /app/
RUN ["python3", "/app/install.py"]
ENV PYTHONPATH=/app/site-packages:/app
CMD ["python3", "-m", "uvicorn", "app:app", "--app-dir", "/app", "--host", "0.0.0.0", "--port", "8080"]
"""
INSTALL = """
import compileall, glob, zipfile
for wheel in glob.glob('/wheels/*.whl'): zipfile.ZipFile(wheel).extractall('/app/site-packages')
compileall.compile_dir('/app/site-packages', quiet=2)  # as pip does
"""


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done


def to_ready(engine: Docker, found: Found, path: str, *, published: bool) -> tuple[float, float]:
    """Seconds from `docker run` to the first 200, and processor seconds of the container until then."""
    began = time.perf_counter()
    container = engine._client.containers.run(found.id, detach=True, ports=PUBLISHED if published else None)  # noqa: SLF001 # with a port, which no test of ours needs
    try:
        container.reload()
        network = container.attrs["NetworkSettings"]
        at = f"127.0.0.1:{network['Ports']['8080/tcp'][0]['HostPort']}" if published else f"{network['IPAddress']}:8080"
        while time.perf_counter() - began < 60:
            try:
                with urllib.request.urlopen(f"http://{at}{path}", timeout=2) as answer:
                    if answer.status == 200:
                        spent = time.perf_counter() - began
                        told = engine._client.api.stats(container.id, stream=False, one_shot=True)  # noqa: SLF001 # the adapter has no need of it
                        return spent, told["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
            except OSError:
                time.sleep(0.005)
        raise SystemExit(container.logs().decode()[-2000:])
    finally:
        container.remove(force=True)


def floor(engine: Docker, base: str, *, published: bool) -> float:
    """Seconds that the engine needs to run nothing: until it says that it was started."""
    began = time.perf_counter()
    container = engine._client.containers.run(base, ["true"], detach=True, ports=PUBLISHED if published else None)  # noqa: SLF001 # as above
    spent = time.perf_counter() - began
    container.remove(force=True)
    return spent


def medians(found: list[tuple[float, float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*found, strict=True)]


def plain(engine: Docker, base: str, wheels: Path, seed: int) -> Found:
    """Build the plain image with a model of its own."""
    import joblib
    from sklearn.ensemble import HistGradientBoostingClassifier

    out = io.BytesIO()
    joblib.dump(HistGradientBoostingClassifier(max_iter=20).fit([[seed], [1], [2]] * 20, [0, 1, 0] * 20), out)
    files: dict[str, tars.Contents] = {f"wheels/{path.name}": path for path in wheels.glob("*.whl")}
    files |= {"Dockerfile": PLAIN.format(base=base).encode(), "app.py": PLAIN_APP.encode()}
    files |= {"install.py": INSTALL.encode(), "model.joblib": out.getvalue()}
    former, built = (
        engine.image("slipway/bench:plain"),
        engine.build(io.BytesIO(tars.pack(files, 0)), "slipway/bench:plain"),
    )
    if former:
        engine.remove(former.id)  # it has lost its name, and nobody else would
    return built


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--project", default="flights")
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--plain", type=Path)
    given = options.parse_args()
    engine, params, bundle = Docker(900), Image(), Path("artifacts", given.project)
    target = wheelhouse.Target(params.python, params.platform)
    wanted = wheelhouse.pins(image.LOCK, target)
    if wheelhouse.find(wanted, Path(params.wheelhouse), target)[1]:
        fill(image.LOCK, Path(params.wheelhouse), target)
    wheels, _ = wheelhouse.find(wanted, Path(params.wheelhouse), target)
    maker = image.Maker(engine, params)
    base = engine.image(maker.base())
    if base is None:
        raise SystemExit("the base image is gone")
    engine.remove(f"slipway/runtime:{maker.runtime_digest(base.id, wheels)[:24]}")
    cold, runtime = timed(lambda: maker.runtime(wheels))
    rebuilds: list[float] = []
    ready: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    floors: dict[bool, list[float]] = {False: [], True: []}
    for number in range(given.repeat):  # another version is another layer of labels: nothing is cached
        lineage = image.Lineage.of(bundle, project=given.project, version=f"0.{number}.{int(time.time())}",
                                   bundle=digest(bundle), recipe="0" * 64)  # fmt: skip
        seconds, ours = timed(lambda lineage=lineage: maker.model(runtime, bundle, lineage))  # type: ignore[misc]
        rebuilds.append(seconds)
        for published in (False, True):
            floors[published].append(floor(engine, base.id, published=published))
            ready[published].append(to_ready(engine, ours, "/v2/health/ready", published=published))
        engine.remove(f"slipway/{given.project}:{lineage.version}-{lineage.bundle[:12]}")
    rows = [["slipway", ours.size, ours.size - base.size, cold, statistics.median(rebuilds), *medians(ready[False])]]
    if given.plain:
        first, other = timed(lambda: plain(engine, base.id, given.plain, 0))
        again = [timed(lambda n=n: plain(engine, base.id, given.plain, n))[0] for n in range(1, 1 + given.repeat)]  # type: ignore[misc]
        other = engine.image("slipway/bench:plain") or other  # the last of them
        starts = [to_ready(engine, other, "/ready", published=False) for _ in range(given.repeat)]
        rows.append(["plain", other.size, other.size - base.size, first, statistics.median(again), *medians(starts)])
        engine.remove("slipway/bench:plain")
    print(f"{'image':10} {'MB':>6} {'on base':>8} {'build s':>8} {'model s':>8} {'ready s':>8} {'processor s':>12}")
    for name, size, top, build, model, start, used in rows:
        print(f"{name:10} {size / 1e6:6.0f} {top / 1e6:8.0f} {build:8.1f} {model:8.2f} {start:8.2f} {used:12.2f}")
    for published, words in ((False, "not published, as servers run here"), (True, "published on the host")):
        took = [seconds for seconds, _ in ready[published]]
        print(f"ready, port {words}: {statistics.median(took):.2f} s, least {min(took):.2f}; docker run true: "
              f"{statistics.median(floors[published]):.2f} s, least {min(floors[published]):.2f}")  # fmt: skip
    print(json.dumps({"base": base.id, "load": Path("/proc/loadavg").read_text().split()[:3]}))


if __name__ == "__main__":
    main()
