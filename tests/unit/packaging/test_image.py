"""Dockerfiles, contexts, recipes: rendered from what cannot hurt, and equal for equal inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from ci.errors import BadInput, Unavailable
from ci.packaging import image
from ci.packaging.engine import Found
from ci.packaging.wheelhouse import Pin, Wheel
from ci.params_packaging import Image
from ci.templating import render
from tests.unit.packaging import sealed
from tests.unit.packaging.fakes import FakeEngine

GOLDEN = Path("tests/golden/serving")
BASE = "sha256:" + "1" * 64
LINEAGE = image.Lineage(
    project="flights", version="1.4.0", bundle="a" * 64, data_version="d" * 64, as_of="2013-07-01",  # type: ignore[arg-type]
    recipe="b" * 64, git_commit="c" * 40,
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed.write(tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    path = tmp_path / "a-1-py3-none-any.whl"
    path.write_bytes(b"x")
    return [Wheel(Pin("a", "1", frozenset()), path, "2" * 64)]


@pytest.fixture
def engine() -> FakeEngine:
    found = FakeEngine()
    found.images |= {BASE: Found(BASE, "amd64", ("sha256:base",), 1, {})}
    return found


def runtime_file() -> str:
    return render("serving/runtime.Dockerfile.j2", runtime=image.Runtime(base=BASE, port=8080, user=65532))


def model_file() -> str:
    described = image.ModelImage(runtime="sha256:" + "3" * 64, version="1.4.0", labels=LINEAGE.labels())
    return render("serving/Dockerfile.j2", image=described)


@pytest.mark.parametrize(("name", "text"), [("runtime.Dockerfile", runtime_file()), ("Dockerfile", model_file())])
def test_renders_as_before(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text("utf-8"), f"if that is meant, write it to {GOLDEN / name}"


def test_dockerfiles_keep_their_promises() -> None:
    runtime, model = runtime_file(), model_file()
    assert [line for line in runtime.splitlines() if line.startswith("FROM")] == [
        f"FROM {BASE} AS build",
        f"FROM {BASE}",
    ]
    assert "\nUSER 65532:65532\n" in runtime
    assert 'CMD ["python3", "-P", "-m", "serving.healthcheck"]' in runtime
    assert "RUN" not in model
    assert "apt" not in runtime
    assert "curl" not in runtime + model
    assert 'io.slipway.bundle="sha256:' + "a" * 64 + '"' in model
    assert 'org.opencontainers.image.revision="' + "c" * 40 + '"' in model


@pytest.mark.parametrize("value", ['a"\nRUN rm -rf /', "$(id)", "`id`", "a\\", "${X}", "x" * 401])
def test_a_label_cannot_write_its_own_dockerfile(value: str) -> None:
    with pytest.raises(ValidationError):
        Image(labels={"vendor": value})
    with pytest.raises(ValidationError):
        image.ModelImage(runtime="sha256:" + "3" * 64, version="1.4.0", labels={"vendor": value})


@pytest.mark.parametrize("base", ["debian:12", "debian@sha256:123", "x y@sha256:" + "1" * 64, "sha256:" + "g" * 64])
def test_a_base_is_named_by_digest(base: str) -> None:
    with pytest.raises(ValidationError):
        Image(base=base)


def test_context_of_a_model_is_the_model(bundle: Path) -> None:
    files = image.model_files("sha256:" + "3" * 64, bundle, LINEAGE, {"vendor": "us"})
    assert set(files) == {"Dockerfile", *(f"files/model/{path.name}" for path in bundle.iterdir())}
    assert b'vendor="us"' in files["Dockerfile"]  # type: ignore[operator]


def test_lineage_labels_win_over_labels_from_params(bundle: Path) -> None:
    files = image.model_files("sha256:" + "3" * 64, bundle, LINEAGE, {"io.slipway.bundle": "another"})
    assert b"another" not in files["Dockerfile"]  # type: ignore[operator]


def test_a_bundle_without_lineage_is_refused(tmp_path: Path) -> None:
    folder = sealed.write(tmp_path / "b", lineage={})
    with pytest.raises(BadInput, match="names no data version"):
        image.Lineage.of(folder, project="flights", version="1.0.0", bundle="a" * 64, recipe="b" * 64)


def test_runtime_is_built_once_and_has_the_id_that_its_contents_deserve(
    engine: FakeEngine, wheels: list[Wheel]
) -> None:
    maker = image.Maker(engine, Image(base=BASE))
    first = maker.runtime(wheels)
    assert maker.runtime(wheels) == first
    assert len(engine.built) == 1
    again = replace(engine, images={BASE: engine.images[BASE]}, built=["", ""])
    assert image.Maker(again, Image(base=BASE)).runtime(wheels).id == first.id  # another engine, another moment
    assert not [tag for tag in engine.images if tag.endswith("-raw")]


def test_image_has_the_models_own_time(engine: FakeEngine, wheels: list[Wheel], bundle: Path) -> None:
    maker = image.Maker(engine, Image(base=BASE))
    runtime = maker.runtime(wheels)
    made = maker.model(runtime, bundle, LINEAGE)
    assert made.layers[: len(runtime.layers)] == runtime.layers
    config = json.loads(engine.loaded[-1])
    assert config["created"] == "2013-07-01T00:00:00Z"
    assert "Hostname" not in config["config"]
    assert made.labels.items() >= LINEAGE.labels().items()


def test_no_base_anywhere_is_said_with_what_helps(wheels: list[Wheel]) -> None:
    with pytest.raises(Unavailable, match=r"image\.base") as caught:
        image.Maker(FakeEngine(), Image()).base()
    assert "ci/setup/base-image" in caught.value.hint
    with pytest.raises(Unavailable, match="no such image"):
        image.Maker(FakeEngine(), Image(base=BASE)).base()


def test_recipe_follows_what_goes_in_and_nothing_else() -> None:
    plain = image.recipe(Image(), BASE)
    assert plain == image.recipe(Image(wheelhouse="elsewhere", offline=True, timeout_s=5), BASE)
    others = [
        image.recipe(Image(), "sha256:" + "2" * 64),
        image.recipe(Image(port=9000), BASE),
        image.recipe(Image(labels={"vendor": "us"}), BASE),
        image.recipe(Image(python="3.12"), BASE),
    ]
    assert len({plain, *others}) == 5
