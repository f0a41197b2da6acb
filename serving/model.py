"""A model that may answer: its bundle was verified and its golden rows came out as they should."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from serving.encoded import ColumnEncoder, Encoded, Row, stack
from serving.errors import BundleError
from serving.graph import Graph
from serving.intake import Intake
from serving.problems import Problem
from serving.release import Release
from serving.tensor_rows import TensorReader

if TYPE_CHECKING:
    from serving.bundle import Bundle, Golden


class Model:
    """One bundle, ready to score."""

    def __init__(self, bundle: Bundle, version: str | None, max_rows: int) -> None:
        """
        Open the graph and score the golden rows.

        Raises:
            BundleError: reason `graph` or `golden`.
        """
        self.signature = bundle.signature
        self.release = Release.of(self.signature.project, bundle.digest, version)
        self.watermark = bundle.watermark
        self.encoder = ColumnEncoder(self.signature)
        self.intake = Intake(self.encoder, max_rows)
        self.tensors = TensorReader(self.signature)
        self.graph = Graph(bundle.graph, self.signature)
        self.golden_outputs = np.asarray(bundle.golden.outputs, dtype=np.float64)
        self._prove(bundle.golden)
        self.row_s = self._time_row(bundle.golden)

    def score(self, rows: Encoded) -> np.ndarray:
        """Score encoded rows; float32 `(n_rows,)` or `(n_rows, n_classes)`."""
        return self.graph.run(rows.feeds)

    def _prove(self, golden: Golden) -> None:
        """Score the golden rows by both ways in; what a caller gets must not depend on which one a row took."""
        for rows in (self._closely(golden), self._quickly(golden)):
            answer = self._try(rows)
            fault = self.graph.check(answer, rows.n_rows)
            if fault:
                raise BundleError("golden", f"golden.json: {fault}")
            _compare(answer, self.golden_outputs, golden.tolerance)

    def _try(self, rows: Encoded) -> np.ndarray:
        try:
            return self.score(rows)
        except Exception as error:  # onnxruntime raises a family of its own without a common base
            message = " ".join(str(error).split())[:300]
            raise BundleError("golden", f"golden.json: the graph cannot score it: {message}") from error

    def _closely(self, golden: Golden) -> Encoded:
        values = {name: [row.get(name) for row in golden.rows] for name in self.encoder.columns}
        for index, row in enumerate(golden.rows):
            if row.keys() != values.keys():
                raise BundleError("golden", f"golden.json: row {index} does not have the signature's fields")
        return self._refusable(values, len(golden.rows))

    def _refusable(self, values: dict[str, list[Any]], n_rows: int) -> Encoded:
        from serving.problems import Faults

        try:
            return self.encoder.encode(values, n_rows, Faults())
        except Problem as problem:
            raise BundleError("golden", f"golden.json: {problem.detail}") from problem

    def _quickly(self, golden: Golden) -> Encoded:
        found = [self.intake.row(msgspec.json.encode(row)) for row in golden.rows]
        rows = [row or self._one(plain) for row, plain in zip(found, golden.rows, strict=True)]
        return stack(rows, self.signature.graph)

    def _one(self, record: dict[str, Any]) -> Row:
        """Read a golden row that the quick way leaves to the close one."""
        feeds = self._refusable({name: [value] for name, value in record.items()}, 1).feeds
        parts = (tuple(feeds[group][0].tolist()) if group in feeds else () for group in ("numbers", "texts", "times"))
        return Row(*parts)

    def _time_row(self, golden: Golden) -> float:
        """Seconds of this thread that one row takes once the graph is warm; others may be busy meanwhile."""
        rows = self._closely(golden)
        single = Encoded(1, {name: array[:1] for name, array in rows.feeds.items()})
        spent = []
        for _ in range(3):
            start = time.thread_time()
            self.score(single)
            spent.append(time.thread_time() - start)
        return min(spent)


def _compare(answer: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    if answer.shape != wanted.shape:
        raise BundleError("golden", f"golden.json: answers have shape {answer.shape}, outputs {wanted.shape}")
    excess = np.abs(answer - wanted) - tolerance * np.maximum(1.0, np.abs(wanted))
    worst = excess.reshape(len(excess), -1).max(axis=1)
    if not (worst <= 0).all():
        row = int(np.argmax(worst))
        raise BundleError("golden", f"golden.json: row {row} scored {answer[row]}, the bundle says {wanted[row]}")
