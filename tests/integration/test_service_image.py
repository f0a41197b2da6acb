"""The service image on a real engine: built, tried, pushed to a real registry, pulled by digest, refused when spoilt."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci.adapters import wheels as door
from ci.adapters.engine import LABEL, Docker
from ci.adapters.registry import LayoutRegistry, found
from ci.errors import BadInput, Unavailable
from ci.files import read_json
from ci.model.bundle import digest
from ci.packaging import archive, image, tars, wheelhouse
from ci.packaging.engine import Found
from ci.packaging.inside import LIST, python
from ci.packaging.smoke import smoke, unwanted
from ci.params_packaging import Image
from ci.params_packaging import Registry as Settings
from ci.report import Found as Said
from tests.integration import registry as registries
from tests.integration.engines import base_image
from tests.unit.packaging import sealed

PARAMS = Image()
BUDGET_ON_BASE, BUDGET = 123_000_000, 293_000_000


@pytest.fixture(scope="module")
def engine(docker_engine: str) -> Docker:
    return Docker(300)


@pytest.fixture(scope="module")
def wheels() -> list[wheelhouse.Wheel]:
    target, folder = wheelhouse.Target(PARAMS.python, PARAMS.platform), Path(PARAMS.wheelhouse)
    wanted = wheelhouse.pins(image.LOCK, target)
    found_, missing = wheelhouse.find(wanted, folder, target)
    if missing:
        try:
            door.fill(image.LOCK, folder, target)
        except Unavailable as error:
            pytest.skip(str(error))
        found_, missing = wheelhouse.find(wanted, folder, target)
    assert not missing
    return found_


@pytest.fixture(scope="module")
def maker(engine: Docker) -> image.Maker:
    return image.Maker(engine, PARAMS.model_copy(update={"base": base_image()}))


@pytest.fixture(scope="module")
def runtime(maker: image.Maker, wheels: list[wheelhouse.Wheel]) -> Found:
    return maker.runtime(wheels)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed.write(tmp_path_factory.mktemp("bundle") / "b")


def lineage(bundle: Path, version: str = "1.4.0") -> image.Lineage:
    return image.Lineage.of(bundle, project="flights", version=version, bundle=digest(bundle), recipe="b" * 64)


@pytest.fixture(scope="module")
def built(maker: image.Maker, runtime: Found, bundle: Path) -> Found:
    return maker.model(runtime, bundle, lineage(bundle))


def test_same_inputs_same_image(
    maker: image.Maker, runtime: Found, built: Found, bundle: Path, tmp_path: Path, wheels: Any
) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for path in bundle.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())  # other times, another folder
    time.sleep(1.1)  # another second, which a classic builder would write down
    assert maker.model(runtime, copy, lineage(copy)).id == built.id
    assert maker.model(runtime, bundle, lineage(bundle, "1.4.1")).id != built.id


@pytest.mark.slow
def test_the_runtime_is_built_anew_to_the_same_id(
    maker: image.Maker, runtime: Found, wheels: list[wheelhouse.Wheel]
) -> None:
    with io.BytesIO() as context:
        files = maker.runtime_files(maker.base(), wheels)
        # A line that changes nothing keeps the builder's own cache out of it.
        files["Dockerfile"] = files["Dockerfile"].replace(b"RUN [", b"ENV AGAIN=1\nRUN [")  # type: ignore[union-attr]
        tars.write(files, context, 0)
        context.seek(0)
        again = maker.engine.build(context, "slipway/test:again")
    maker.engine.remove("slipway/test:again")
    assert again.layers == runtime.layers


def test_passes_its_smoke_test_as_a_random_user_without_network(engine: Docker, built: Found, bundle: Path) -> None:
    checks = list(smoke(engine, built, read_json(bundle / "golden.json"), lineage(bundle).labels()))
    assert [(check.name, check.outcome) for check in checks if check.outcome is not Said.PASSED] == []
    assert len(checks) == 6


def test_holds_no_compiler_no_pip_no_pickle_no_secret(engine: Docker, built: Found) -> None:
    with engine.started(built.id, user="", environment={}) as container:
        names = ["/" + name.lstrip("/") for name in container.files()]
        told = json.loads(container.execute(python(LIST))[1])
    assert "/model/model.onnx" in names
    assert "/opt/slipway/serving/app.py" in names
    assert not unwanted(names)
    assert not told["keys"]
    inside = [name for name in names if name.startswith(("/opt", "/model"))]
    assert not [name for name in inside if "/tests/" in name or name.endswith((".pyi", ".a", ".h"))]
    assert not [name for name in inside if "sklearn" in name or "pandas" in name or "/ci/" in name]


def test_is_small(engine: Docker, maker: image.Maker, built: Found) -> None:
    base = engine.image(maker.base())
    assert base
    assert built.size - base.size <= BUDGET_ON_BASE
    assert built.size <= BUDGET


def test_answers_on_a_published_port(built: Found, bundle: Path) -> None:
    run = [
        "docker",
        "run",
        "--detach",
        "--rm",
        "--read-only",
        "--user",
        "4321:0",
        "--publish",
        "127.0.0.1::8080",
        built.id,
    ]
    name = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    try:
        port = subprocess.run(
            ["docker", "port", name, "8080"], capture_output=True, text=True, check=True
        ).stdout.strip()
        golden = read_json(bundle / "golden.json")
        body = json.dumps({"records": golden["rows"]}).encode()
        request = urllib.request.Request(f"http://{port}/predict", body, {"Content-Type": "application/json"})
        for _ in range(200):
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    told = json.load(answer)
                break
            except OSError:
                time.sleep(0.05)
        assert told["predictions"] == pytest.approx(golden["outputs"], abs=1e-5)
        assert told["version"] == "1.4.0"
    finally:
        subprocess.run(["docker", "stop", "--time", "5", name], capture_output=True, check=False)


def spoilt(engine: Docker, built: Found, files: dict[str, tars.Contents], more: str = "") -> Found:
    """An image on top of a good one, with other files."""
    dockerfile = f"FROM {built.id}\n{more}COPY files/ /\n"
    context = io.BytesIO(tars.pack({"Dockerfile": dockerfile.encode(), **files}, 0))
    return engine.build(context, "slipway/test:spoilt")


@pytest.mark.parametrize(
    ("files", "more", "check", "said"),
    [
        ({"files/model/model.onnx": b"another graph"}, "", "start", "model.onnx"),
        ({"files/usr/bin/gcc": b"x"}, "", "contents", "a compiler: /usr/bin/gcc"),
        ({"files/model/extra.pkl": b"x"}, "", "contents", "a pickle: /model/extra.pkl"),
        ({"files/etc/k": b"-----BEGIN PRIVATE KEY-----\nx"}, "", "contents", "a private key: /etc/k"),
        ({"files/x": b"x"}, "USER root\n", "description", "user is root"),
        ({"files/x": b"x"}, "LABEL io.slipway.bundle=other\n", "description", "io.slipway.bundle"),
    ],
)
def test_a_spoilt_image_is_refused_by_name(
    engine: Docker, built: Found, bundle: Path, files: Any, more: str, check: str, said: str
) -> None:
    bad = spoilt(engine, built, files, more)
    try:
        checks = smoke(engine, bad, read_json(bundle / "golden.json"), lineage(bundle).labels())
        refused = {item.name: item.message for item in checks if item.outcome is Said.REJECTED}
    finally:
        engine.remove("slipway/test:spoilt")
    assert said in refused[check]


def test_is_pushed_and_pulled_by_digest_and_its_labels_come_along(
    engine: Docker, built: Found, bundle: Path, tmp_path: Path
) -> None:
    with registries.running(tmp_path / "registry") as place:
        first = engine.push(built.id, f"{place.host}/slipway/flights", "bundle")
        assert engine.push(built.id, f"{place.host}/slipway/flights-again", "bundle") == first
        store = found(Settings(url=place.url))
        assert store.pull_manifest("slipway/flights", first).digest == first
        pulled = engine.pull(f"{place.host}/slipway/flights@{first}")
        assert pulled.id == built.id
        assert pulled.labels.items() >= lineage(bundle).labels().items()
        with pytest.raises(BadInput, match="has none"):
            engine.pull(f"{place.host}/slipway/flights@sha256:{'0' * 64}")
        with pytest.raises(BadInput, match="not a digest"):
            engine.pull(f"{place.host}/slipway/flights:bundle")
        engine.remove(f"{place.host}/slipway/flights@{first}")


@pytest.fixture(scope="module")
def tiny(engine: Docker) -> Iterator[Found]:
    """An image of two layers and a few bytes: what is told here does not depend on size."""
    files: dict[str, tars.Contents] = {"one/a": b"a" * 5000, "two/b": b"b" * 5000}
    dockerfile = b"FROM scratch\nCOPY one/ /\nCOPY two/ /\n"
    yield engine.build(io.BytesIO(tars.pack({"Dockerfile": dockerfile, **files}, 0)), "slipway/test:tiny")
    engine.remove("slipway/test:tiny")


def test_goes_through_a_folder_and_comes_back_the_same(engine: Docker, tiny: Found, tmp_path: Path) -> None:
    store = LayoutRegistry(tmp_path / "layout")
    packaged = archive.store(engine, tiny.id, store, "slipway/flights")
    assert archive.store(engine, tiny.id, store, "slipway/flights") == packaged
    assert archive.fetch(store, "slipway/flights", packaged.digest, engine) == tiny.id  # it is there already
    engine.remove("slipway/test:tiny")
    assert engine.image(tiny.id) is None
    assert archive.fetch(store, "slipway/flights", packaged.digest, engine) == tiny.id
    assert engine.image(tiny.id) is not None
    engine.remove(tiny.id)


def test_a_layer_that_was_altered_in_the_folder_is_refused(engine: Docker, tmp_path: Path) -> None:
    dockerfile = b"FROM scratch\nCOPY one/ /\n"
    small = engine.build(
        io.BytesIO(tars.pack({"Dockerfile": dockerfile, "one/a": b"a" * 5000}, 0)), "slipway/test:small"
    )
    store = LayoutRegistry(tmp_path / "layout")
    packaged = archive.store(engine, small.id, store, "slipway/flights")
    engine.remove("slipway/test:small")
    layer = small.layers[-1].removeprefix("sha256:")
    (blob,) = [path for path in (tmp_path / "layout").rglob(f"*{layer}*") if path.is_file()]
    blob.write_bytes(blob.read_bytes().replace(b"aaaa", b"abba"))
    with pytest.raises(BadInput, match=layer[:8]):
        archive.fetch(store, "slipway/flights", packaged.digest, engine)
    assert engine.image(small.id) is None


def test_a_failing_build_says_why_and_leaves_nothing(engine: Docker, maker: image.Maker) -> None:
    context = {"Dockerfile": f'FROM {maker.base()}\nRUN ["python3", "-c", "raise SystemExit(\'no luck\')"]\n'.encode()}
    with pytest.raises(BadInput, match="no luck"):
        engine.build(io.BytesIO(tars.pack(context, 0)), "slipway/test:fails")
    assert engine.image("slipway/test:fails") is None


def test_wheels_for_another_python_are_refused_by_name(
    engine: Docker, maker: image.Maker, wheels: list[wheelhouse.Wheel]
) -> None:
    other = image.Maker(engine, maker.params.model_copy(update={"python": "3.12"}))
    with pytest.raises(BadInput, match=r"has Python 3\.11"):
        other.runtime(wheels[:1])


def test_nothing_of_the_tests_runs_on(engine: Docker) -> None:
    left = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label={LABEL}=test"], capture_output=True, text=True, check=True
    )
    assert left.stdout.strip() == ""


def test_no_engine_is_said_with_what_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(Unavailable, match="no engine answers") as caught:
        Docker()
    assert "ci/setup/docker" in caught.value.hint


def test_context_is_a_tar_that_the_engine_reads_as_it_was_written(
    maker: image.Maker, wheels: list[wheelhouse.Wheel]
) -> None:
    with io.BytesIO() as out:
        tars.write(maker.runtime_files(maker.base(), wheels), out, 0)
        out.seek(0)
        with tarfile.open(fileobj=out) as opened:
            names = opened.getnames()
    assert {"Dockerfile", "install.py", "plan.json"} <= set(names)
    assert not [name for name in names if name.startswith("ci/") or "__pycache__" in name]
