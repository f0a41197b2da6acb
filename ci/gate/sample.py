"""What is judged: one test set and the answers of one or two models, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ci import stats
from ci.contract import Task
from ci.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ci.params_gate import Policy

Array = np.ndarray[Any, Any]
_AUC_OF_TIES = 0.5


@dataclass(frozen=True)
class Sample:
    """
    Rows with targets and answers.

    y           (n_rows,) targets; classes are integers from 0
    challenger  (n_rows,) or (n_rows, n_classes) answers; the champion's alike, None if there is no champion
    clusters    (n_rows,) integer codes, None where rows are independent
    weights     (n_rows,) ≥ 0, or None
    slices      column to its values (n_rows,)
    """

    task: Task
    y: Array
    challenger: Array
    champion: Array | None
    clusters: Array | None
    weights: Array | None
    slices: Mapping[str, Array] = field(default_factory=dict)
    threshold: float = 0.5
    costs: tuple[float, float] = (1.0, 1.0)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @cached_property
    def n_clusters(self) -> int | None:
        """Clusters that have rows here, None where rows are independent."""
        return None if self.clusters is None else int((np.bincount(self.clusters) > 0).sum())

    def part(self, rows: Array) -> Sample:
        """Return the rows with these numbers (n_part,), without slices."""

        def some(values: Any) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            y=self.y[rows],
            challenger=self.challenger[rows],
            champion=some(self.champion),
            clusters=some(self.clusters),
            weights=some(self.weights),
            slices={},
        )

    def estimate(self, metric: str, of: Literal["challenger", "champion"] = "challenger") -> stats.Estimate:
        """Measure one model; ValueError where that cannot be done."""
        return stats.estimate(metric, self.y, getattr(self, of), **self._options())

    def gain(self, metric: str) -> stats.Estimate:
        """Measure by how much the challenger beats the champion; ValueError where that cannot be done."""
        if self.champion is None:
            raise ValueError(f"{metric}: there is no champion")
        return stats.difference(metric, self.y, self.challenger, self.champion, **self._options())

    def champions(self, metric: stats.Metric, challenger: float, gain: float) -> float:
        """Return the champion's value: what is left of the challenger's without the gain, unless it is one of sizes."""
        if metric.signed:
            return self.estimate(metric.name, of="champion").value
        return challenger - metric.direction * gain

    def against_constant(self, metric: stats.Metric, ours: stats.Estimate) -> tuple[stats.Estimate, float]:
        """Measure the gain over the constant answer that suits the test set best, and that answer's own value."""
        if metric.name == "auc":  # ties count half: a constant ranks half of the pairs rightly, and that is certain
            ends = {name: getattr(ours, name) - _AUC_OF_TIES for name in ("value", "low", "high")}
            return replace(ours, **ends), _AUC_OF_TIES
        gain = stats.difference(metric.name, self.y, self.challenger, self.constant(metric.name), **self._options())
        return gain, 0.0 if metric.signed else ours.value - metric.direction * gain.value

    def measurable(self, metric: str) -> str | None:
        """Say why no model at all could be measured on this test set; None if it is up to the model."""
        try:
            stats.estimate(metric, self.y, self.constant(metric), **self._options())
        except ValueError as error:
            return str(error)
        return None

    def constant(self, metric: str) -> Array:
        """Return the constant answer that suits the test set best, shaped like a model's answers."""
        return np.broadcast_to(self._best_constant(metric), self.challenger.shape)

    @cached_property
    def disagreement(self) -> float:
        """
        Return how differently the two models answer, 0 (alike) to 1.

        Share of rows with another decision; for a ranking the mean distance of percentiles; for a regression the mean
        distance over the mean distance of two targets.
        """
        if self.champion is None:
            return 0.0
        if self.task is Task.BINARY:
            return float(((self.challenger >= self.threshold) != (self.champion >= self.threshold)).mean())
        if self.task is Task.MULTICLASS:
            return float((self.challenger.argmax(axis=1) != self.champion.argmax(axis=1)).mean())
        return float(np.minimum(self.apart, 1).mean())

    @cached_property
    def apart(self) -> Array:
        """Distance of the two models' answers (n_rows,), 0 (alike) to 1 and, in a regression, beyond."""
        if self.champion is None:
            return np.zeros(self.n)
        if self.task is Task.RANKING:
            moved: Array = _percentiles(self.challenger) - _percentiles(self.champion)
            return np.abs(moved)
        gap: Array = np.abs(self.challenger - self.champion)
        if self.task is Task.REGRESSION:
            spread = float(np.abs(self.y - np.median(self.y)).mean()) or 1.0
            return gap / spread
        return gap.sum(axis=1) / 2 if gap.ndim == 2 else gap

    def _best_constant(self, metric: str) -> Any:
        weights = np.ones(self.n) if self.weights is None else self.weights
        if self.task is Task.MULTICLASS:
            return np.bincount(self.y.astype(np.int64), weights, self.challenger.shape[1]) / weights.sum()
        if metric in {"mae", "mape"}:
            return float(np.median(self.y))
        return float(np.average(self.y, weights=weights))

    def _options(self) -> dict[str, Any]:
        return {
            "clusters": self.clusters,
            "weights": self.weights,
            "threshold": self.threshold,
            "costs": self.costs,
        }


def checked(
    task: Task,
    y: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike | None,
    *,
    clusters: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    slices: Mapping[str, npt.ArrayLike] | None,
    policy: Policy,
) -> Sample:
    """
    Check a test set and two models' answers; whether the answers are finite is for the verdict to say.

    Raises:
        BadInput: empty, a single class, unequal lengths, negative weights, targets that are not numbers.
    """
    truth, ours = _numbers("test set: targets", y), _numbers("challenger", challenger)
    theirs = None if champion is None else _numbers("champion", champion)
    _check_shapes(truth, ours, theirs)
    _check_targets(task, truth)
    return Sample(
        task,
        truth,
        ours,
        theirs,
        None if clusters is None else _codes("clusters", clusters, len(truth)),
        None if weights is None else _weights(weights, len(truth)),
        {name: _lengthy(f"slice {name}", values, len(truth)) for name, values in (slices or {}).items()},
        policy.threshold,
        policy.costs,
    )


def _numbers(name: str, values: npt.ArrayLike) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{name}: not numbers") from None


def _check_shapes(truth: Array, ours: Array, theirs: Array | None) -> None:
    if truth.ndim != 1 or truth.size == 0:
        raise BadInput("test set: empty" if truth.size == 0 else f"test set: targets have the shape {truth.shape}")
    if len(ours) != len(truth):
        raise BadInput(f"challenger: {len(ours):,} answers to {len(truth):,} rows")
    if theirs is not None and theirs.shape != ours.shape:
        raise BadInput(f"champion: answers have the shape {theirs.shape}, the challenger's {ours.shape}")


def _check_targets(task: Task, truth: Array) -> None:
    if bad := int((~np.isfinite(truth)).sum()):
        raise BadInput(f"test set: {bad:,} targets are missing or infinite")
    if task is not Task.REGRESSION and truth.min() == truth.max():
        raise BadInput(f"test set: a single class ({truth[0]:g}); nothing can be told from it")


def _codes(name: str, values: npt.ArrayLike, n: int) -> Array:
    import pandas as pd

    return np.asarray(pd.factorize(_lengthy(name, values, n), use_na_sentinel=False)[0], dtype=np.int64)


def _weights(values: npt.ArrayLike, n: int) -> Array:
    try:
        return np.asarray(stats.inputs.weighed(values, n))
    except ValueError as error:
        raise BadInput(f"weights: {error}") from None


def _lengthy(name: str, values: npt.ArrayLike, n: int) -> Array:
    array = np.asarray(values)
    if array.shape != (n,):
        raise BadInput(f"{name}: has the shape {array.shape}, one value for each of {n:,} rows is needed")
    return array


def _percentiles(scores: Array) -> Array:
    """Rank of each score over the most there could be, 0 to 1; ties keep the order of the rows."""
    return np.asarray(np.argsort(np.argsort(scores, kind="stable"), kind="stable") / max(len(scores) - 1, 1))
