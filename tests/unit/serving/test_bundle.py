from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serving import bundle
from serving.errors import BundleError
from serving.model import Model
from tests.unit.serving import bundles

if TYPE_CHECKING:
    from pathlib import Path


def refused(folder: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        Model(bundle.read(folder), None, 100)
    return caught.value


def edit(folder: Path, name: str, change) -> Path:
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))
    return bundles.seal(folder)


def test_digest_is_that_of_the_manifest(folder):
    assert bundle.read(folder).digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "golden.json", "MODEL_CARD.md"])
def test_altered_file_is_refused_by_name(fresh, name):
    raw = bytearray((fresh / name).read_bytes())
    raw[-1] ^= 1
    (fresh / name).write_bytes(raw)
    error = refused(fresh)
    assert error.reason == "digest"
    assert str(error).startswith(name)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_missing_file_is_refused_by_name(fresh, name):
    (fresh / name).unlink()
    error = refused(fresh)
    assert error.reason == "missing"
    assert str(error).startswith(name)


def test_needed_file_must_be_in_the_manifest(fresh):
    manifest = json.loads((fresh / "manifest.json").read_text())
    del manifest["files"]["golden.json"]
    (fresh / "manifest.json").write_text(json.dumps(manifest))
    assert str(refused(fresh)) == "golden.json: not in manifest.json"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b"])
def test_manifest_cannot_point_elsewhere(fresh, name):
    manifest = json.loads((fresh / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "size": 1}
    (fresh / "manifest.json").write_text(json.dumps(manifest))
    assert "not a plain file name" in str(refused(fresh))


@pytest.mark.parametrize(
    ("name", "change", "reason", "words"),
    [
        ("golden.json", lambda d: d["outputs"].__setitem__(3, 0.5), "golden", "row 3 scored"),
        ("golden.json", lambda d: d.update(rows=[], outputs=[]), "format", "0 rows"),
        ("golden.json", lambda d: d["outputs"].pop(), "format", "20 rows and 19 outputs"),
        ("golden.json", lambda d: d["rows"][0].pop("temp"), "golden", "row 0 does not have"),
        ("golden.json", lambda d: d["rows"][0].update(distance=-1), "golden", "row 0, field distance"),
        ("signature.json", lambda d: d.update(schema_version=2), "format", "schema_version"),
        ("signature.json", lambda d: d["output"].update(name="score"), "format", "output.name"),
        ("signature.json", lambda d: d["graph"].update(texts=["carrier"]), "format", "graph.texts"),
        ("signature.json", lambda d: d["inputs"][5].update(nullable=True), "format", "cannot be nullable"),
        ("signature.json", lambda d: d["inputs"][2].update(quantiles=[2, 1]), "format", "ascending"),
        ("signature.json", lambda d: d["inputs"][1].update(minimum=99999), "format", "minimum above"),
        ("signature.json", lambda d: d["inputs"].append(d["inputs"][0]), "format", "twice"),
    ],
)
def test_what_does_not_hang_together_is_refused(fresh, name, change, reason, words):
    error = refused(edit(fresh, name, change))
    assert error.reason == reason
    assert words in str(error)
    assert str(error).startswith(name)


def test_graph_must_have_the_inputs_of_the_signature(fresh):
    def drop(document):
        document["inputs"] = [item for item in document["inputs"] if item["name"] != "temp"]
        document["graph"]["numbers"].remove("temp")

    error = refused(edit(fresh, "signature.json", drop))
    assert error.reason == "graph"
    assert "numbers tensor(float) (n, 2)" in str(error)


def test_bytes_that_are_no_graph_are_refused(fresh):
    (fresh / "model.onnx").write_bytes(b"not a graph")
    assert refused(bundles.seal(fresh)).reason == "graph"


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_each_task_scores_as_onnxruntime_does(tmp_path, task):
    model = Model(bundle.read(bundles.write(tmp_path / task, task=task)), None, 100)
    records = bundles.rows(50, seed=9)
    rows = model.intake.read(json.dumps({"records": records}).encode())
    np.testing.assert_array_equal(model.score(rows), bundles.predict(bundles.graph(0, task), records))
