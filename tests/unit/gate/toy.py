"""A toy project: rows, sealed bundles with a one-line graph, and a checkout around them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from ci.files import sha256, write_json
from ci.gate.champion import Champion
from ci.gate.gate import Workplace
from ci.progress import Progress
from ci.project import Project

DAYS = 24
START = datetime(2024, 3, 1)  # wall clock, as everywhere in rows
CONTRACT = """
description: Will it rain on the fair?
owner: fair@example.org
task: binary
target: wet
event_time: at
keys: [booth]
cluster: day
slices: [field]
columns:
  x1: {type: number, nullable: true, minimum: -10, maximum: 10}
  x2: {type: number}
  field: {type: string, categories: [north, south]}
  at: {type: datetime, role: meta}
  booth: {type: integer, role: meta}
  wet: {type: boolean, role: target}
  noted_later: {type: number, role: after, nullable: true}
"""
PARAMS = """
as_of: "2024-04-01"
source: {period: month, eras: [{name: all, start: "2024-01-01", tables: {t: {kind: file, path: none.csv}}}]}
check: {}
split: {}
train: {}
evaluate: {}
gate: %s
"""


def frame(n=2400, seed=0):
    """Draw rows of DAYS days; x1 tells more than x2."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, DAYS, n))
    x1, x2 = rng.normal(size=n), rng.normal(size=n)
    wet = rng.random(n) < 1 / (1 + np.exp(-(1.5 * x1 + 0.8 * x2)))
    return pd.DataFrame(
        {
            "x1": x1,
            "x2": x2,
            "field": np.where(rng.random(n) < 0.5, "north", "south"),
            "at": pd.to_datetime([START + timedelta(days=int(d)) for d in day]),
            "booth": np.arange(n),
            "wet": wet,
        }
    )


def graph(weights, bias=0.0, scale=1.0):
    """Return a model: probability = scale · sigmoid(numbers · weights + bias)."""
    constants = {"w": np.array([[w] for w in weights]), "b": np.array([bias]), "s": np.array([scale]), "flat": None}
    made = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items() if v is not None]
    made.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat"))
    nodes = [
        helper.make_node("MatMul", ["numbers", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["p"]),
        helper.make_node("Mul", ["p", "s"], ["q"]),
        helper.make_node("Reshape", ["q", "flat"], ["probability"]),
    ]
    given = helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["N", len(weights)])
    told = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N"])
    model = helper.make_model(
        helper.make_graph(nodes, "toy", [given], [told], made),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def bundle(folder, weights=(1.5, 0.8), *, numbers=("x1", "x2"), train_end="2024-03-01T00:00:00", **options):
    """Seal a bundle whose golden answers are its own."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph(weights, **options))
    inputs = [{"name": name, "type": "number", "nullable": name == "x1", "example": 0.0} for name in numbers]
    inputs.append({"name": "field", "type": "string", "nullable": False, "unknown": "accept", "categories": ["north", "south"],
                   "example": "north"})  # fmt: skip
    write_json(
        folder / "signature.json",
        {
            "schema_version": 1, "project": "toy", "task": "binary", "description": "", "inputs": inputs,
            "output": {"name": "probability", "type": "number", "classes": None, "description": "Probability that it is wet"},
        },
    )  # fmt: skip
    rows = [{**dict.fromkeys(numbers, float(value)), "field": "north"} for value in (-1, 0, 2)]
    logits = np.array([[row[name] for name in numbers] for row in rows]) @ np.array(weights) + options.get("bias", 0.0)
    outputs = (options.get("scale", 1.0) / (1 + np.exp(-logits))).tolist()
    outputs = [value if np.isfinite(value) else 0.0 for value in outputs]
    write_json(folder / "golden.json", {"schema_version": 1, "tolerance": 1e-5, "rows": rows, "outputs": outputs})
    write_json(folder / "evaluation.json", {"metrics": {}})
    cut = {"cut": {"train_end": train_end}} if train_end else {}
    write_json(folder / "lineage.json", {"data": {"version": "f" * 64, "as_of": "2024-04-01", "rows": 1}, "split": cut})
    (folder / "MODEL_CARD.md").write_text("# toy: Will it rain on the fair?\n", encoding="utf-8")
    seal(folder)
    return folder


def seal(folder):
    """Write the manifest over whatever lies in the folder."""
    files = {
        p.name: {"sha256": sha256(p), "size": p.stat().st_size} for p in folder.iterdir() if p.name != "manifest.json"
    }
    write_json(folder / "manifest.json", {"schema_version": 1, "files": files})


def checkout(root, *, gate="{}", rows=None):
    """Lay out params, contract, prepared rows; return the root."""
    for name, text in {
        "contract.yaml": CONTRACT,
        "params.yaml": PARAMS % gate,
        "source.py": "",
        "model.py": "",
    }.items():
        path = root / "projects" / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "params.yaml").write_text("projects: [toy]\n", encoding="utf-8")
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    prepared = root / "data" / "toy" / "prepared"
    prepared.mkdir(parents=True, exist_ok=True)
    test = frame() if rows is None else rows
    test.to_parquet(prepared / "test.parquet", index=False)
    frame(400, seed=99).to_parquet(prepared / "train.parquet", index=False)
    cut = {"train_end": "2024-03-01T00:00:00", "test_start": "2024-03-01T00:00:00", "test_end": "2024-03-25T00:00:00"}
    (prepared / "split.json").write_text(json.dumps({"cut": cut}), encoding="utf-8")
    return root


def project(root):
    """Return the toy project of a checkout."""
    return Project("toy", root / "projects" / "toy")


def workplace(root, store):
    """Return what surrounds a verdict in a checkout."""
    where = root / "reports" / "toy" / "MODEL_CARD.md"
    return Workplace(
        root / "data/toy/prepared", where, root / "pictures", store, "2024-04-01T00:00:00+00:00", Progress()
    )


def champion(folder):
    """Name a folder as champion; None is no champion, as asked for."""
    return Champion(folder, "none" if folder is None else folder.name)


def several(folder, weights, classes=("dry", "drizzle", "downpour"), *, declared=True):
    """Seal a bundle of several classes: probabilities = softmax(x1, x2 · weights (2, n_classes))."""
    folder.mkdir(parents=True)
    matrix = np.asarray(weights, dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["numbers", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["probabilities"], axis=1),
    ]
    given = helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["N", 2])
    told = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(classes)])
    model = helper.make_model(
        helper.make_graph(nodes, "several", [given], [told], [numpy_helper.from_array(matrix, "w")]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    inputs = [{"name": name, "type": "number", "nullable": False, "example": 0.0} for name in ("x1", "x2")]
    output = {
        "name": "probabilities",
        "type": "number",
        "description": "",
        "classes": list(classes) if declared else None,
    }
    write_json(folder / "signature.json", {"schema_version": 1, "project": "toy", "task": "multiclass",
                                           "description": "", "inputs": inputs, "output": output})  # fmt: skip
    write_json(folder / "golden.json", {"schema_version": 1, "tolerance": 1e-5, "rows": [], "outputs": []})
    write_json(folder / "evaluation.json", {"metrics": {}})
    write_json(folder / "lineage.json", {"data": {"version": "f" * 64, "as_of": "2024-04-01", "rows": 1}, "split": {}})
    (folder / "MODEL_CARD.md").write_text("# toy: How will it rain on the fair?\n", encoding="utf-8")
    seal(folder)
    return folder
