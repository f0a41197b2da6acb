"""
The model graph: the project's features and the estimator, joined into one ONNX model.

`features` of a project is traced once. Training computes features by running that very graph, and the same nodes are
part of the released model: training and serving cannot differ.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Task
from ci.errors import BadInput
from ci.model import encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    import pandas as pd

    from ci.contract import Contract
    from ci.project import Project

OPSET = 21
_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S

OUTPUTS = {
    Task.BINARY: "probability",
    Task.MULTICLASS: "probabilities",
    Task.REGRESSION: "prediction",
    Task.RANKING: "score",
}

_PROBABILITIES = "probabilit"  # how skl2onnx calls them, in the singular or the plural  # codespell:ignore


@dataclass(frozen=True)
class FeatureGraph:
    """The traced features; `kinds` maps each feature to `number` or `text`, in the order of the outputs."""

    model: onnx.ModelProto
    kinds: Mapping[str, str]

    @classmethod
    def of_bytes(cls, made: bytes) -> FeatureGraph:
        """Take over what another process traced."""
        import onnx

        kinds, _, model = made.partition(b"\n")
        return cls(onnx.load_model_from_string(model), json.loads(kinds))

    def to_bytes(self) -> bytes:
        """Spell the graph for another process."""
        return json.dumps(dict(self.kinds)).encode() + b"\n" + bytes(self.model.SerializeToString())

    @cached_property
    def _session(self) -> Any:
        return session(self.model.SerializeToString())

    def apply(self, tensors: encoding.Tensors) -> pd.DataFrame:
        """Compute the features of encoded rows: float32 and text columns, `n_rows` long."""
        import pandas as pd

        used = {item.name for item in self._session.get_inputs()}
        found = self._session.run(None, {name: value for name, value in tensors.items() if name in used})
        return pd.DataFrame({name: values[:, 0] for name, values in zip(self.kinds, found, strict=True)})


def trace(project: Project) -> FeatureGraph:
    """
    Turn the project's `features` (or the default) into a graph.

    Raises:
        BadInput: the function fails on symbolic arrays, or answers with something else than named arrays.
    """
    import ndonnx as ndx

    rows, inputs = _arguments(project.contract)
    function = project.code("features") or default_features
    try:
        made = {str(name): _column(array) for name, array in function(dict(rows)).items()}
        outputs = {f"feature_{place}": array for place, array in enumerate(made.values())}
        model = ndx.build(inputs, outputs) if outputs else None
    except Exception as error:
        file = project.code_file("features")
        raise BadInput(f"{file}: features cannot become a graph ({type(error).__name__}: {error})",
                       hint="use array operations that ndonnx knows, and no Python branches on values") from error  # fmt: skip
    if model is None:
        raise BadInput(f"{project.code_file('features')}: features returned no columns")
    return FeatureGraph(model, {name: "text" if a.dtype == ndx.utf8 else "number" for name, a in made.items()})


def default_features(rows: dict[str, Any]) -> dict[str, Any]:
    """Pass every column on; a moment becomes its time of day, weekday and day of the year."""
    made = {}
    for name, array in rows.items():
        if str(array.dtype).lower() != "int64":
            made[name] = array
            continue
        made[f"{name}_hour"] = array % _DAY_S / 3600
        made[f"{name}_weekday"] = (array // _DAY_S + 3) % 7
        made[f"{name}_yearday"] = array % int(_YEAR_S) // _DAY_S
    return made


def session(model: bytes, threads: int = 0) -> Any:
    """Open an onnxruntime session; quiet, on the CPU."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # newer runtimes report home unless told not to
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others may want the cores
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def joined(features: FeatureGraph, estimator: onnx.ModelProto, contract: Contract) -> bytes:
    """Put the estimator's graph behind the features, and shape its answer for the task."""
    import onnx
    from onnx import compose

    estimator = compose.add_prefix(estimator, "estimator_", rename_inputs=True)
    for model in (features.model, estimator):
        model.ir_version = min(model.ir_version, 10)
    outputs = [item.name for item in features.model.graph.output]
    inputs = [item.name for item in estimator.graph.input]
    # By place: skl2onnx keeps the order of its inputs, but spells `Größe (cm)` as `Größe__cm_`.
    model = compose.merge_models(features.model, estimator, io_map=list(zip(outputs, inputs, strict=True)))
    _shape_answer(model, contract)
    _settle_opsets(model)
    model.graph.name = "slipway"
    model.producer_name, model.producer_version, model.doc_string = "slipway", "", ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _settle_opsets(model: onnx.ModelProto) -> None:
    """List each domain once, in order: skl2onnx iterates over a set, and equal models would differ by hash seed."""
    from onnx import helper

    versions = {item.domain: item.version for item in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))


def _arguments(contract: Contract) -> tuple[dict[str, Any], dict[str, Any]]:
    import ndonnx as ndx

    dtypes = {encoding.NUMBERS: ndx.float32, encoding.TEXTS: ndx.utf8, encoding.TIMES: ndx.int64}
    groups = encoding.columns(contract)
    inputs = {group: ndx.argument(shape=("N", len(names)), dtype=dtypes[group]) for group, names in groups.items()}
    rows = {name: inputs[group][:, place] for group, names in groups.items() for place, name in enumerate(names)}
    return {name: rows[name] for name in contract.features}, inputs


def _column(array: Any) -> Any:
    """Shape one feature as `(n_rows, 1)`, float32 or text."""
    import ndonnx as ndx

    if array.dtype != ndx.utf8:
        array = ndx.astype(array, ndx.float32)
    return ndx.reshape(array, (-1, 1))


def _shape_answer(model: onnx.ModelProto, contract: Contract) -> None:
    """Replace the estimator's outputs by the one that docs/reference/bundle.md promises."""
    from onnx import TensorProto, helper, numpy_helper

    graph, name = model.graph, OUTPUTS[contract.task]
    produced = [item.name for item in graph.output]
    scores = next((item for item in produced if _PROBABILITIES in item), produced[-1])
    several = contract.task is Task.MULTICLASS
    if contract.task in {Task.BINARY, Task.RANKING} and (trees := _one_score(graph, scores)):
        _sum_of_trees(graph, trees, name)
    elif contract.task in {Task.BINARY, Task.RANKING} and _PROBABILITIES in scores:
        graph.initializer.append(numpy_helper.from_array(np.array(1, dtype=np.int64), "slipway_one"))
        graph.node.append(helper.make_node("Gather", [scores, "slipway_one"], [name], axis=1))
    else:
        shape = np.array([-1] if not several else [0, -1], dtype=np.int64)
        graph.initializer.append(numpy_helper.from_array(shape, "slipway_shape"))
        graph.node.append(helper.make_node("Reshape", [scores, "slipway_shape"], [name]))
    del graph.output[:]
    shape_of = ["N", None] if several else ["N"]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape_of))


def _one_score(graph: onnx.GraphProto, scores: str) -> onnx.NodeProto | None:
    """Return the node of trees that add up to one logit, if that is where the probabilities come from, and all that they are for."""
    from onnx import helper

    node = next((node for node in graph.node if scores in node.output), None)
    used = {name for item in graph.node for name in item.input}
    if node is None or node.op_type != "TreeEnsembleClassifier" or used & set(node.output):
        return None
    said = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    one = len(set(said.get("class_ids", ()))) == len(said.get("base_values", ())) == 1
    two = len(said.get("classlabels_int64s", ())) == 2
    return node if one and two and said.get("post_transform") == b"LOGISTIC" else None


def _sum_of_trees(graph: onnx.GraphProto, trees: onnx.NodeProto, name: str) -> None:
    """Let the trees give their sum, `name` its logistic: with a label and two probabilities the runtime takes an eighth longer."""
    from onnx import helper, numpy_helper

    summed = helper.make_node("TreeEnsembleRegressor", trees.input, ["slipway_sum"], domain=trees.domain, n_targets=1)
    for item in trees.attribute:
        if item.name.startswith(("nodes_", "class_", "base_")) and item.name != "nodes_hitrates":
            copied = summed.attribute.add()
            copied.CopyFrom(item)
            copied.name = item.name.replace("class_", "target_", 1)
    graph.node.remove(trees)
    graph.initializer.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), "slipway_shape"))
    graph.node.append(summed)
    graph.node.append(helper.make_node("Reshape", ["slipway_sum", "slipway_shape"], ["slipway_logit"]))
    graph.node.append(helper.make_node("Sigmoid", ["slipway_logit"], [name]))


def converted(estimator: Any, features: FeatureGraph) -> onnx.ModelProto:
    """
    Export a fitted scikit-learn estimator.

    Raises:
        BadInput: skl2onnx cannot convert one of its parts.
    """
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = {"number": FloatTensorType, "text": StringTensorType}
    given = [(name, kinds[kind]([None, 1])) for name, kind in features.kinds.items()]
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    opsets = {"": OPSET, "ai.onnx.ml": 3}
    try:
        model: onnx.ModelProto = skl2onnx.to_onnx(
            estimator, initial_types=given, options=options, target_opset=opsets, name="estimator"
        )
    except Exception as error:
        raise BadInput(f"estimator: cannot be exported to ONNX ({type(error).__name__}: {' '.join(str(error).split())[:200]})",
                       hint="use parts that skl2onnx converts, or define `train` in model.py") from error  # fmt: skip
    return model
