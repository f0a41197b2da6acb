"""The metrics by name: what each needs, which way is better, how small a loss counts as none."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Value = TypeVar("Value", float, npt.NDArray[np.float64])

Task = Literal["binary", "multiclass", "regression", "ranking"]
Kind = Literal["mean", "sums", "table", "rank"]
Need = Literal["labels", "both classes", "probabilities", "non-zero targets", "varied targets"]


@dataclass(frozen=True, slots=True)
class Metric:
    """
    What is known of a metric before seeing data.

    direction  +1 higher is better, −1 lower is better
    kind       the family of its standard error: mean of row scores, function of sums, of a confusion table, of ranks
    needs      what its inputs must satisfy beyond being finite and of equal length
    margin     default non-inferiority margin; None where only the project can know it
    relative   whether `margin` is a share of the champion's value instead of being in `unit`
    signed     better means closer to zero (bias): models are compared by absolute value
    """

    name: str
    tasks: frozenset[Task]
    direction: Literal[1, -1]
    kind: Kind
    unit: str
    description: str
    needs: frozenset[Need]
    margin: float | None
    relative: bool = False
    signed: bool = False

    def default_margin(self, champion: float) -> float:
        """
        Return the largest loss against `champion` (its value of this metric) that still counts as none, ≥ 0.

        Raises:
            ValueError: the metric has no default margin, or a relative one meets a champion of zero.
        """
        if self.margin is None:
            raise ValueError(f"{self.name}: no default margin, its unit is the target's; declare one")
        if self.relative and champion == 0:
            raise ValueError(f"{self.name}: a relative margin of a champion at zero is zero; declare an absolute one")
        return self.margin * abs(champion) if self.relative else self.margin

    def contrast(self, per_model: Sequence[Value]) -> Value:
        """Return the one model's value, or of two the gain of the first over the second (+ is better)."""
        if len(per_model) == 1:
            return per_model[0]
        first, second = (np.abs(value) for value in per_model) if self.signed else per_model
        return self.direction * (first - second)


def lookup(name: str) -> Metric:
    """
    Return the metric called `name`.

    Raises:
        ValueError: no metric has that name; the message suggests the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(METRICS)}"
    raise ValueError(f"{name}: unknown metric ({hint})")


_BINARY: tuple[Task, ...] = ("binary",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_RANKED: tuple[Task, ...] = ("binary", "ranking")
_REAL: tuple[Task, ...] = ("regression",)


def _higher(
    name: str, tasks: tuple[Task, ...], kind: Kind, unit: str, description: str, *needs: Need, margin: float = 0.005
) -> Metric:
    return Metric(name, frozenset(tasks), 1, kind, unit, description, frozenset(needs), margin)


def _lower(
    name: str, tasks: tuple[Task, ...], kind: Kind, unit: str, description: str, *needs: Need, margin: float = 0.01
) -> Metric:
    return Metric(name, frozenset(tasks), -1, kind, unit, description, frozenset(needs), margin, relative=True)


_ALL = (
    _higher("auc", _RANKED, "rank", "share of pairs", "a positive outranks a negative", "labels", "both classes"),
    _higher("average_precision", _RANKED, "rank", "share", "precision averaged over recall", "labels", "both classes"),
    _lower("log_loss", _CLASSES, "mean", "nats per row", "surprise at the true class", "labels", "probabilities"),
    _lower("brier", _CLASSES, "mean", "squared probability", "squared error", "labels", "probabilities"),
    _higher("accuracy", _CLASSES, "mean", "share of rows", "rows decided rightly", "labels"),
    _lower("cost", _BINARY, "mean", "cost per row", "what wrong decisions cost", "labels"),
    _higher("f1", _BINARY, "table", "share", "harmonic mean of precision and recall", "labels", "both classes"),
    _higher("precision", _BINARY, "table", "share of alarms", "alarms that are right", "labels", "both classes"),
    _higher("recall", _BINARY, "table", "share of positives", "positives that are found", "labels", "both classes"),
    _higher("macro_f1", ("multiclass",), "table", "share", "F1 averaged over classes", "labels", "both classes"),
    _higher("kappa", _CLASSES, "table", "share", "agreement beyond chance", "labels", "both classes"),
    _higher("mcc", _CLASSES, "table", "correlation", "correlation of truth and decision", "labels", "both classes"),
    _lower("mae", _REAL, "mean", "target", "mean absolute error"),
    _lower("mse", _REAL, "mean", "target squared", "mean squared error"),
    _lower("mape", _REAL, "mean", "share of target", "mean absolute error over target", "non-zero targets"),
    _lower("rmse", _REAL, "sums", "target", "root of the mean squared error"),
    _higher("r2", _REAL, "sums", "share of variance", "variance that is explained", "varied targets"),
    Metric("bias", frozenset(_REAL), -1, "sums", "target", "mean error", frozenset(), margin=None, signed=True),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
