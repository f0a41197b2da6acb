"""The wheel: deterministic, whole, minimal."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from ci.packaging import wheel
from tests.unit.packaging import sealed

DIGEST = "a" * 64


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed.write(tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture(scope="module")
def opened(bundle: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(wheel.wheel(bundle, "flights", "1.4.0", DIGEST)))


def test_is_the_same_each_time(bundle: Path) -> None:
    (bundle / "model.onnx").touch()
    assert wheel.wheel(bundle, "flights", "1.4.0", DIGEST) == wheel.wheel(bundle, "flights", "1.4.0", DIGEST)
    assert wheel.name("flights", "1.4.0") == "flights_model-1.4.0-py3-none-any.whl"


def test_record_has_every_file_with_its_digest(opened: zipfile.ZipFile) -> None:
    rows = list(csv.reader(opened.read("flights_model-1.4.0.dist-info/RECORD").decode().splitlines()))
    assert sorted(row[0] for row in rows) == sorted(opened.namelist())
    for name, digest, size in rows[:-1]:
        data = opened.read(name)
        assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert int(size) == len(data)
    assert rows[-1][1:] == ["", ""]


def test_requires_numpy_and_onnxruntime_alone(opened: zipfile.ZipFile) -> None:
    told = Parser().parsestr(opened.read("flights_model-1.4.0.dist-info/METADATA").decode())
    assert (told["Name"], told["Version"]) == ("flights-model", "1.4.0")
    assert told.get_all("Requires-Dist") == ["numpy>=2.0", "onnxruntime>=1.20"]


def test_is_typed_carries_the_sealed_files_and_nothing_else(opened: zipfile.ZipFile, bundle: Path) -> None:
    names = set(opened.namelist())
    assert "flights_model/py.typed" in names
    carried = {name.split("/")[-1] for name in names if name.startswith("flights_model/bundle/")}
    assert carried == {path.name for path in bundle.iterdir()}
    assert not [name for name in names if name.endswith((".pkl", ".pyc", ".so"))]


def test_files_that_the_manifest_does_not_list_stay_out(tmp_path: Path) -> None:
    folder = sealed.write(tmp_path / "b")
    (folder / "notes.pkl").write_bytes(b"x")
    opened = zipfile.ZipFile(io.BytesIO(wheel.wheel(folder, "flights", "1.4.0", DIGEST)))
    assert not [name for name in opened.namelist() if "notes" in name]


def test_names_and_descriptions_cannot_write_code(tmp_path: Path) -> None:
    from tests.unit.serving import bundles

    odd = [{**bundles.INPUTS[0], "name": "a'b\"\\"}, *bundles.INPUTS[1:]]
    evil = bundles.signature(inputs=odd) | {"description": '""" \\\nimport os # "'}
    folder = sealed.write(tmp_path / "b", signature=evil)
    opened = zipfile.ZipFile(io.BytesIO(wheel.wheel(folder, "flights", "1.4.0", DIGEST)))
    front = opened.read("flights_model/__init__.py").decode()
    import ast

    tree = ast.parse(front)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    keys = next(node for node in ast.walk(tree) if isinstance(node, ast.Dict)).keys
    assert next(ast.literal_eval(key) for key in keys if key) == "a'b\"\\"
