"""The ONNX graph: opened, held to its signature, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from serving.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.encoded import Feeds
    from serving.signature import Signature

_TYPES = {"numbers": "tensor(float)", "texts": "tensor(string)", "times": "tensor(int64)"}
_ERRORS_ONLY = 3


class Graph:
    """A session for one graph and its one answer."""

    def __init__(self, raw: bytes, signature: Signature) -> None:
        """
        Open the graph.

        Raises:
            BundleError: reason `graph`, when it does not load or does not have the signature's inputs and output.
        """
        options = onnxruntime.SessionOptions()
        # One core per worker: more threads would fight with the event loop for it.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a family of its own without a common base
            raise BundleError("graph", f"model.onnx: {_line(error)}") from error
        self._wanted = [signature.output.name]
        self._width = len(signature.output.classes or ()) if signature.task == "multiclass" else None
        fault = self._fault(signature)
        if fault:
            raise BundleError("graph", f"model.onnx: {fault}")

    def run(self, feeds: Feeds) -> np.ndarray:
        """Score; returns float32 `(n_rows,)`, or `(n_rows, n_classes)` for a multiclass model."""
        answer: np.ndarray = self._session.run(self._wanted, feeds)[0]
        return answer

    def check(self, answer: np.ndarray, n_rows: int) -> str | None:
        """Say what is wrong with the form of an answer."""
        shape = (n_rows,) if self._width is None else (n_rows, self._width)
        if answer.dtype != np.float32 or answer.shape != shape:
            return f"{self._wanted[0]} is {answer.dtype} {answer.shape}, not float32 {shape}"
        return None if np.isfinite(answer).all() else f"{self._wanted[0]} is not finite"

    def _fault(self, signature: Signature) -> str | None:
        wanted = {name: (kind, len(getattr(signature.graph, name))) for name, kind in _TYPES.items()}
        wanted = {name: found for name, found in wanted.items() if found[1]}
        found = {node.name: (node.type, _width(node)) for node in self._session.get_inputs()}
        if found != wanted:
            return f"inputs are {_spell(found)}, the signature says {_spell(wanted)}"
        outputs = {node.name: node.type for node in self._session.get_outputs()}
        if outputs.get(self._wanted[0]) != "tensor(float)":
            return f"outputs are {outputs}, the signature says {self._wanted[0]}: tensor(float)"
        return None


def _width(node: Any) -> int | None:
    return node.shape[1] if len(node.shape) == 2 else None


def _spell(inputs: Mapping[str, tuple[str, int | None]]) -> str:
    return ", ".join(f"{name} {kind} (n, {width})" for name, (kind, width) in sorted(inputs.items())) or "none"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
