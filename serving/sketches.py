"""
What came in and what went out, counted per feature, for verification and drift.

Rows are put aside when they are scored and counted a thousand at a time, as arrays: counting each value as it passes
would cost more than scoring it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from serving.metrics import Histogram, Page, labels

if TYPE_CHECKING:
    from serving.encoded import Encoded
    from serving.signature import Input, Output, Signature

_AT_ONCE = 1024
_SCORE_BUCKETS = 10


class NumberSketch:
    """Missing values of one column of numbers, and its quantile buckets where the signature has cuts."""

    def __init__(self, spec: Input) -> None:
        self.missing = 0
        self.values = Histogram(spec.quantiles) if spec.quantiles else None

    def add(self, column: np.ndarray) -> None:
        """Count a column of float32."""
        present = column[~np.isnan(column)]
        self.missing += len(column) - len(present)
        if self.values:
            self.values.add_many(present)


class TextSketch:
    """Missing and unknown values of one column of texts."""

    def __init__(self, spec: Input) -> None:
        self.missing = self.unknown = 0
        self.nullable = spec.nullable
        self.known = frozenset(spec.categories) if spec.categories else None

    def add(self, column: np.ndarray) -> None:
        """Count a column of objects."""
        values = column.tolist()
        self.missing += (missing := values.count("") if self.nullable else 0)
        if self.known is not None:
            strange = sum(1 for value in values if value not in self.known)
            self.unknown += strange - (missing if "" not in self.known else 0)


class Sketches:
    """All the sketches of one release."""

    def __init__(self, signature: Signature, golden_outputs: np.ndarray) -> None:
        graph = signature.graph
        self.numbers = {name: NumberSketch(signature.input(name)) for name in graph.numbers}
        self.texts = {name: TextSketch(signature.input(name)) for name in graph.texts}
        self.classes = signature.output.classes or ()
        self.per_class = np.zeros(len(self.classes), dtype=np.int64)
        self.scores = Histogram(_score_bounds(signature.output, golden_outputs))
        self._waiting: list[tuple[dict[str, np.ndarray], np.ndarray]] = []
        self._rows = 0

    def add(self, rows: Encoded, answer: np.ndarray) -> None:
        """Put scored rows aside, and count when there are enough of them."""
        self._waiting.append((rows.feeds, answer))
        self._rows += rows.n_rows
        if self._rows >= _AT_ONCE:
            self.count()

    def count(self) -> None:
        """Count what was put aside."""
        if not self._waiting:
            return
        waiting, self._waiting, self._rows = self._waiting, [], 0
        groups: list[tuple[str, dict[str, Any]]] = [("numbers", self.numbers), ("texts", self.texts)]
        for group, sketches in groups:
            if sketches:
                rows = np.concatenate([feeds[group] for feeds, _ in waiting])
                for index, sketch in enumerate(sketches.values()):
                    sketch.add(rows[:, index])
        self._count_answers(np.concatenate([answer for _, answer in waiting]))

    def _count_answers(self, answers: np.ndarray) -> None:
        if self.classes:
            self.per_class += np.bincount(answers.argmax(axis=1), minlength=len(self.classes))
            answers = answers.max(axis=1)
        self.scores.add_many(answers)

    def write(self, page: Page, where: str) -> None:
        """Add everything to a metrics page."""
        self.count()
        page.histogram("slipway_score", where, self.scores)
        features: dict[str, Any] = {**self.numbers, **self.texts}
        named = [(labels(feature=name), sketch) for name, sketch in features.items()]
        page.samples("slipway_feature_missing_total", where, [(own, sketch.missing) for own, sketch in named])
        unknown = [(labels(feature=name), s.unknown) for name, s in self.texts.items() if s.known is not None]
        page.samples("slipway_feature_unknown_total", where, unknown)
        for name, number in self.numbers.items():
            if number.values:
                page.histogram("slipway_feature_value", f"{where},{labels(feature=name)}", number.values)
        per_class = [(labels(predicted=name), n) for name, n in zip(self.classes, self.per_class.tolist(), strict=True)]
        page.samples("slipway_predicted_class_total", where, per_class)


def _score_bounds(output: Output, golden: np.ndarray) -> list[float]:
    """Cuts of the answers: the signature's, else equal parts of their range, else of what the golden rows span."""
    if output.quantiles:
        return list(output.quantiles)
    low, high = output.minimum, output.maximum
    if output.classes:
        low, high = 0.0, 1.0
    if low is None or high is None:
        low, high = float(golden.min()), float(golden.max())
    return [round(low + (high - low) * part / _SCORE_BUCKETS, 9) for part in range(1, _SCORE_BUCKETS + 1)]
