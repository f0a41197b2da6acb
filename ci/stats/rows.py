"""Metrics that are means of one score a row: log loss, Brier, accuracy, cost, MAE, MSE, MAPE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.stats.variance import DOUBT_ROWS, Measured, sandwich

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.stats.inputs import Codes, Floats, Sample
    from ci.stats.metrics import Metric

_LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True, slots=True)
class Decision:
    """
    How scores become decisions, and what wrong ones cost.

    A row is called positive at score ≥ threshold; with a score a class, the largest wins, the first of equals.
    """

    threshold: float = 0.5
    false_positive: float = 1.0
    false_negative: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold must be finite, got {self.threshold}")
        if not (0 <= self.false_positive < math.inf and 0 <= self.false_negative < math.inf):
            raise ValueError(f"costs must be finite and at least 0: {self.false_positive}, {self.false_negative}")


def decide(scores: Floats, decision: Decision) -> Codes:
    """Return the predicted class codes (n_rows,) of scores (n_rows,) or (n_rows, n_classes)."""
    if scores.ndim == 2:
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)
    return np.asarray(scores >= decision.threshold, dtype=np.int64)


def log_loss(truth: Floats, scores: Floats, _decision: Decision) -> Floats:
    """Return −log of the true class's probability (n_rows,), nats; kept from infinity by a least of 1e-15."""
    if scores.ndim == 2:
        given = scores[np.arange(len(truth)), truth.astype(np.int64)]
    else:
        given = np.where(truth == 1, scores, 1 - scores)
    return np.asarray(-np.log(np.clip(given, _LEAST_PROBABILITY, 1)), dtype=np.float64)


def brier(truth: Floats, scores: Floats, _decision: Decision) -> Floats:
    """
    Return the squared error of the probabilities (n_rows,): 0 to 1 for one score a row, 0 to 2 for one a class.

    Source: Brier (1950) for classes; half of it is the usual form for two.
    """
    if scores.ndim == 1:
        return squared_error(truth, scores, _decision)
    given = scores[np.arange(len(truth)), truth.astype(np.int64)]
    return np.asarray(np.square(scores).sum(axis=1) - 2 * given + 1)


def accuracy(truth: Floats, scores: Floats, decision: Decision) -> Floats:
    """Return 1 where the decision is right, 0 where it is wrong (n_rows,)."""
    return np.asarray(decide(scores, decision) == truth, dtype=np.float64)


def cost(truth: Floats, scores: Floats, decision: Decision) -> Floats:
    """Return what each decision costs (n_rows,)."""
    called = decide(scores, decision)
    return np.asarray(decision.false_positive * (called > truth) + decision.false_negative * (called < truth))


def absolute_error(truth: Floats, scores: Floats, _decision: Decision) -> Floats:
    """Return |prediction − target| (n_rows,), the target's unit."""
    return np.abs(scores - truth)


def squared_error(truth: Floats, scores: Floats, _decision: Decision) -> Floats:
    """Return (prediction − target)² (n_rows,), the target's unit squared."""
    return np.square(scores - truth)


def relative_error(truth: Floats, scores: Floats, _decision: Decision) -> Floats:
    """Return |prediction − target| / |target| (n_rows,), a share."""
    return np.abs((scores - truth) / truth)


ROW_SCORES: Mapping[str, Callable[[Floats, Floats, Decision], Floats]] = {
    "log_loss": log_loss,
    "brier": brier,
    "accuracy": accuracy,
    "cost": cost,
    "mae": absolute_error,
    "mse": squared_error,
    "mape": relative_error,
}


def measure(metric: Metric, sample: Sample, decision: Decision) -> Measured:
    """
    Return the weighted mean of the row scores, or of their paired differences, with z or sandwich standard error.

    Weights are those of a ratio estimator, Σwd/Σw, linearised: they are not counts, and do not shrink the error.
    Source: Cameron, Gelbach & Miller (2008) for clusters; Särndal, Swensson & Wretman (1992) for weights.
    """
    scored = [ROW_SCORES[metric.name](sample.truth, scores, decision) for scores in sample.models]
    amounts, shares = metric.contrast(scored), sample.weights / sample.weights.sum()
    value = float(amounts @ sample.weights / sample.weights.sum())
    se = math.hypot(sandwich(shares * (amounts - value), sample), _doubt(metric, shares, decision))
    spread = "z" if sample.clusters is None else "sandwich"
    return Measured(value, se, f"paired {spread}" if len(scored) == 2 else f"{spread} of the mean")


def _doubt(metric: Metric, shares: Floats, decision: Decision) -> float:
    """Half of the unseen rows are wrong (one model) or disagree (two): see `DOUBT_ROWS`."""
    steps = {"accuracy": 1.0, "cost": max(decision.false_positive, decision.false_negative)}
    unseen = DOUBT_ROWS / 2 * float(shares @ shares) / len(shares)
    return steps.get(metric.name, 0.0) * math.sqrt(unseen)
