"""Images of the collection service: the same maker, templates of their own, code and contracts in one thin layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci.packaging import image
from ci.packaging.engine import Found
from ci.packaging.wheelhouse import Pin, Target, Wheel, pins
from ci.params_packaging import Image
from ci.services.bundle import ServiceBundle, make
from ci.services.image import COLLECTOR, LOCK, senders
from ci.templating import render
from tests.e2e.collectors import contract
from tests.unit.packaging.fakes import FakeEngine

GOLDEN = Path("tests/golden/collector")
BASE = "sha256:" + "1" * 64
LINEAGE = image.Lineage(
    project="collector", version="1.4.0", bundle="a" * 64, data_version="d" * 64, as_of="2024-01-01",  # type: ignore[arg-type]
    recipe="b" * 64, git_commit="c" * 40,
)  # fmt: skip


def runtime_file() -> str:
    return render(COLLECTOR.runtime, runtime=image.Runtime(base=BASE, port=8080, user=65532))


def release_file() -> str:
    described = image.ModelImage(runtime="sha256:" + "3" * 64, version="1.4.0", labels=LINEAGE.labels())
    return render(COLLECTOR.release, image=described)


@pytest.mark.parametrize(("name", "text"), [("runtime.Dockerfile", runtime_file()), ("Dockerfile", release_file())])
def test_renders_as_before(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text("utf-8"), f"if that is meant, write it to {GOLDEN / name}"


def test_dockerfiles_keep_their_promises() -> None:
    runtime, release = runtime_file(), release_file()
    stages = [line for line in runtime.splitlines() if line.startswith("FROM")]
    assert stages == [f"FROM {BASE} AS build", f"FROM {BASE}"]
    assert "\nUSER 65532:0\n" in runtime
    assert 'CMD ["python3", "-P", "-m", "collector.healthcheck"]' in runtime
    assert "RUN" not in release
    assert "apt" not in runtime
    assert 'io.slipway.bundle="sha256:' + "a" * 64 + '"' in release


def test_the_runtime_holds_no_code_of_ours_and_the_release_all_of_it(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"x")
    wheels = [Wheel(Pin("a", "1", frozenset()), wheel, "2" * 64)]
    engine = FakeEngine()
    engine.images |= {BASE: Found(BASE, "amd64", ("sha256:base",), 1, {})}
    maker = image.Maker(engine, Image(base=BASE), kind=COLLECTOR)
    files = maker.runtime_files(BASE, wheels)
    assert set(files) == {"Dockerfile", "install.py", "plan.json", "wheels/a-1-py3-none-any.whl"}
    plan = json.loads(files["plan.json"])  # type: ignore[arg-type]
    assert plan["folders"] == ["data"]
    make([contract("York")], tmp_path / "b")
    bundle = ServiceBundle(tmp_path / "b")
    built = maker.model(maker.runtime(wheels), bundle.folder, LINEAGE)
    assert built.labels["io.slipway.project"] == "collector"
    release = image.model_files("sha256:" + "3" * 64, bundle.folder, LINEAGE, {}, COLLECTOR)
    assert set(release) == {"Dockerfile", *(f"files/bundle/{path.name}" for path in bundle.folder.iterdir())}


def test_its_recipe_is_its_own() -> None:
    assert image.recipe(Image(), BASE, kind=COLLECTOR) != image.recipe(Image(), BASE)
    assert image.recipe(Image(), BASE, kind=COLLECTOR) == image.recipe(Image(), BASE, kind=COLLECTOR)


def test_its_lock_names_what_it_imports_and_no_framework() -> None:
    names = {pin.name for pin in pins(LOCK, Target("3.11", "linux/amd64"))}
    assert {"uvicorn", "msgspec", "pyarrow", "psycopg", "uvloop"} <= names
    assert not names & {"onnxruntime", "pandas", "scikit-learn", "pydantic"}


def test_a_trial_knows_one_sender_by_the_digest_of_its_token() -> None:
    from collector.tokens import SCOPES

    line = senders("secret").decode()
    assert "secret" not in line
    assert line.split()[1] == ",".join(SCOPES)
