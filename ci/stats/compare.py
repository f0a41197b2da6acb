"""The two questions of the gate: how good is a model, and is one better than another on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.stats import inputs, ranking, rows, sums, tables
from ci.stats.interval import Estimate
from ci.stats.metrics import lookup

if TYPE_CHECKING:
    import numpy.typing as npt

    from ci.stats.inputs import Sample
    from ci.stats.metrics import Metric
    from ci.stats.variance import Measured


def estimate(
    metric: str,
    y: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    threshold: float = 0.5,
    costs: tuple[float, float] = (1.0, 1.0),
    seed: int = 0,
) -> Estimate:
    """
    Measure `metric` of one model.

    y          (n_rows,) targets; classes are integers from 0
    scores     (n_rows,) predictions or scores of class 1; (n_rows, n_classes) probabilities for several classes
    clusters   (n_rows,) integer codes of what makes rows alike (day, customer); None takes rows as independent
    weights    (n_rows,) ≥ 0, how much of the population a row stands for
    threshold  score from which a row is called positive, for metrics of decisions
    costs      of one false positive and one false negative, for `cost`
    seed       of the count-table bootstrap; all other methods are deterministic

    Raises:
        ValueError: unknown metric, or inputs that do not fit it; the message starts with the metric's name.
    """
    rule = lookup(metric)
    sample = inputs.checked(rule, y, (scores,), clusters=clusters, weights=weights)
    return _estimate(rule, sample, rows.Decision(threshold, *costs), level, seed)


def difference(
    metric: str,
    y: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    threshold: float = 0.5,
    costs: tuple[float, float] = (1.0, 1.0),
    seed: int = 0,
) -> Estimate:
    """
    Measure by how much the challenger beats the champion on the same rows, + is better for every metric.

    Parameters are those of `estimate`; challenger and champion are both shaped like its `scores`. For bias, which is
    best at zero, the gain is |bias of the champion| − |bias of the challenger|; it errs on the wide side near zero.

    Raises:
        ValueError: unknown metric, or inputs that do not fit it; the message starts with the metric's name.
    """
    rule = lookup(metric)
    sample = inputs.checked(rule, y, (challenger, champion), clusters=clusters, weights=weights)
    return _estimate(rule, sample, rows.Decision(threshold, *costs), level, seed)


def _estimate(rule: Metric, sample: Sample, decision: rows.Decision, level: float, seed: int) -> Estimate:
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no finite estimate, and refused below
            value, se, method = _measure(rule, sample, decision, seed)
        clusters = sample.n_clusters
        how = method if clusters is None else f"{method}, {clusters} clusters"
        return Estimate.of(value, se, n=sample.n_rows, clusters=clusters, level=level, method=how)
    except ValueError as error:
        raise ValueError(f"{rule.name}: {str(error).removeprefix(f'{rule.name}: ')}") from error


def _measure(rule: Metric, sample: Sample, decision: rows.Decision, seed: int) -> Measured:
    match rule.kind:
        case "mean":
            return rows.measure(rule, sample, decision)
        case "sums":
            return sums.measure(rule, sample)
        case "rank":
            return ranking.measure(rule, sample)
        case "table":
            return tables.measure(rule, sample, decision, seed=seed)
