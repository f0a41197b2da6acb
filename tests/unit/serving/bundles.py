"""Small bundles after docs/reference/bundle.md: scikit-learn models, exported, with grouped inputs."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import serving  # noqa: F401 # before onnxruntime, which it keeps from reporting home

if TYPE_CHECKING:
    from pathlib import Path

CARRIERS = ["9E", "AA", "B6", "DL", "UA", "München Air"]
ORIGINS = ["EWR", "JFK", "LGA"]
NUMBERS = ["distance", "temp", "waterfront"]
TEXTS = ["carrier", "origin"]
TIMES = ["scheduled_departure"]

INPUTS: list[dict[str, Any]] = [
    {"name": "carrier", "type": "string", "unknown": "accept", "categories": CARRIERS, "nullable": True,
     "max_length": 20, "description": "The airline", "example": "UA"},
    {"name": "distance", "type": "integer", "minimum": 0, "maximum": 10000, "unit": "miles", "example": 1400},
    {"name": "temp", "type": "number", "nullable": True, "minimum": -60, "maximum": 130.1, "example": 39.02,
     "quantiles": [20.0, 40.0, 60.0, 80.0]},
    {"name": "origin", "type": "string", "unknown": "reject", "categories": ORIGINS, "example": "JFK"},
    {"name": "waterfront", "type": "boolean", "example": False},
    {"name": "scheduled_departure", "type": "datetime", "example": "2013-01-01T05:15:00"},
]  # fmt: skip

ROW: dict[str, Any] = {
    "carrier": "UA", "distance": 1400, "temp": 39.02, "origin": "JFK", "waterfront": False,
    "scheduled_departure": "2013-01-01T05:15:00",
}  # fmt: skip


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Raw rows as a caller would send them."""
    rng = np.random.default_rng(seed)
    return [
        {
            "carrier": str(rng.choice([*CARRIERS, "??"])) if rng.random() > 0.1 else None,
            "distance": int(rng.integers(0, 5000)),
            "temp": round(float(rng.normal(50, 20)), 2) if rng.random() > 0.1 else None,
            "origin": str(rng.choice(ORIGINS)),
            "waterfront": bool(rng.random() > 0.5),
            "scheduled_departure": f"2013-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"
            f"T{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}:00",
        }
        for _ in range(n)
    ]


def feeds(records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Encode rows after the table in bundle.md, independently of the server."""
    times = [[np.datetime64(row[name], "s").astype(np.int64) for name in TIMES] for row in records]
    return {
        "numbers": np.array([[np.nan if r[n] is None else float(r[n]) for n in NUMBERS] for r in records], np.float32),
        "texts": np.array([[r[name] or "" for name in TEXTS] for r in records], dtype=object),
        "times": np.array(times, dtype=np.int64),
    }


@cache
def graph(seed: int = 0, task: str = "binary") -> bytes:
    """Train and export one model; a graph of its own turns the departure into an hour."""
    from onnx import TensorProto, helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    table = feeds(rows(600, seed))
    hours = (table["times"] % 86400 // 3600).astype(np.float32)
    x = np.concatenate([table["numbers"], hours, table["texts"]], axis=1, dtype=object)
    score = np.nan_to_num(table["numbers"][:, 1], nan=0.0) / 40 + hours[:, 0] / 12 + seed % 7 / 3
    noise = np.random.default_rng(seed).normal(0, 0.4, len(score))
    y = {"binary": score + noise > 2.2, "multiclass": np.digitize(score + noise, [1.5, 2.5]), "regression": score}[task]
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    encode = ColumnTransformer(
        [("n", "passthrough", [0, 1, 2, 3]), ("t", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [4, 5])]
    )
    model = make_pipeline(encode, kind(max_iter=20, random_state=seed)).fit(x, y)
    options = {} if task == "regression" else {id(model): {"zipmap": False}}
    wide = [("numbers_hours", FloatTensorType([None, 4])), ("texts", StringTensorType([None, 2]))]
    onx = convert_sklearn(model, initial_types=wide, options=options, target_opset={"": 18, "ai.onnx.ml": 3})
    return _regrouped(onx, task, helper, TensorProto).SerializeToString()


def _regrouped(onx: Any, task: str, helper: Any, types: Any) -> Any:
    """Put the hour before the exported graph and the answer's shape behind it."""
    nodes = [
        helper.make_node("Mod", ["times", "day_s"], ["clock"]),
        helper.make_node("Div", ["clock", "hour_s"], ["hour"]),
        helper.make_node("Cast", ["hour"], ["hour_f"], to=types.FLOAT),
        helper.make_node("Concat", ["numbers", "hour_f"], ["numbers_hours"], axis=1),
    ]
    raw = "raw_answer"
    for node in onx.graph.node:  # the answer's name is needed for what comes behind it
        node.output[:] = [raw if name == onx.graph.output[-1].name else name for name in node.output]
    output = {"binary": "probability", "multiclass": "probabilities", "regression": "prediction"}[task]
    tail = {
        "binary": [helper.make_node("Gather", [raw, "one"], [output], axis=1)],
        "multiclass": [helper.make_node("Identity", [raw], [output])],
        "regression": [helper.make_node("Reshape", [raw, "flat"], [output])],
    }[task]
    constants = {"day_s": (types.INT64, [1], [86400]), "hour_s": (types.INT64, [1], [3600])}
    constants |= {"binary": {"one": (types.INT64, [], [1])}, "regression": {"flat": (types.INT64, [1], [-1])}}.get(
        task, {}
    )
    initial = [helper.make_tensor(name, *rest) for name, rest in constants.items()]
    shape = ["n", 3] if task == "multiclass" else ["n"]
    inner = onx.graph
    made = helper.make_graph(
        [*nodes, *inner.node, *tail],
        "test",
        [
            helper.make_tensor_value_info("numbers", types.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("texts", types.STRING, ["n", 2]),
            helper.make_tensor_value_info("times", types.INT64, ["n", 1]),
        ],
        [helper.make_tensor_value_info(output, types.FLOAT, shape)],
        [*inner.initializer, *initial],
    )
    return helper.make_model(made, opset_imports=list(onx.opset_import), ir_version=onx.ir_version)


def signature(task: str = "binary", inputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The signature of these models."""
    output: dict[str, Any] = {
        "binary": {"name": "probability", "type": "number", "minimum": 0, "maximum": 1, "classes": None},
        "multiclass": {"name": "probabilities", "type": "number", "classes": ["early", "on time", "late"]},
        "regression": {"name": "prediction", "type": "number"},
    }[task]
    return {
        "schema_version": 1,
        "project": "flights",
        "task": task,
        "description": "Will this flight arrive late?",
        "inputs": inputs or INPUTS,
        "output": output,
        "graph": {"numbers": NUMBERS, "texts": TEXTS, "times": TIMES},
    }


def predict(raw: bytes, records: list[dict[str, Any]]) -> np.ndarray:
    """Score rows with onnxruntime itself."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    answer: np.ndarray = onnxruntime.InferenceSession(raw, options).run(None, feeds(records))[0]
    return answer


def write(
    folder: Path, *, seed: int = 0, task: str = "binary", inputs: list[dict[str, Any]] | None = None, **golden: Any
) -> Path:
    """Write a bundle; `golden` replaces members of golden.json."""
    raw = graph(seed, task)
    records = rows(20, seed + 1)
    told = {"schema_version": 1, "tolerance": 1e-5, "rows": records, "outputs": predict(raw, records).tolist()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(raw)
    (folder / "signature.json").write_text(json.dumps(signature(task, inputs)))
    (folder / "golden.json").write_text(json.dumps(told | golden))
    for name in ("evaluation.json", "lineage.json"):
        (folder / name).write_text("{}")
    (folder / "MODEL_CARD.md").write_text("# A model\n")
    return seal(folder)


def seal(folder: Path) -> Path:
    """Write the manifest of what lies in a folder."""
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 1, "files": files}))
    return folder
