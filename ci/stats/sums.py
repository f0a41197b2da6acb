"""Metrics that are functions of a few sums over rows: RMSE, R², bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.stats.variance import Measured, jackknife

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.stats.inputs import Floats, Sample
    from ci.stats.metrics import Metric

# Rows of a table of sums; the columns are units (rows or clusters), or nothing when summed over all.
_WEIGHT, _TARGET, _TARGET_SQUARED, _ERROR, _ERROR_SQUARED = range(5)


def rmse(sums: Floats) -> Floats:
    """Return √(Σe²/n) from sums (5, …): shape (…)."""
    return np.asarray(np.sqrt(np.maximum(sums[_ERROR_SQUARED], 0) / sums[_WEIGHT]))


def r2(sums: Floats) -> Floats:
    """Return 1 − Σe²/Σ(y−ȳ)² from sums (5, …): shape (…)."""
    spread = sums[_TARGET_SQUARED] - sums[_TARGET] ** 2 / sums[_WEIGHT]
    return np.asarray(1 - sums[_ERROR_SQUARED] / spread)


def bias(sums: Floats) -> Floats:
    """Return Σe/n with e = prediction − target from sums (5, …): shape (…)."""
    return np.asarray(sums[_ERROR] / sums[_WEIGHT])


FORMULAS: Mapping[str, Callable[[Floats], Floats]] = {"rmse": rmse, "r2": r2, "bias": bias}


def measure(metric: Metric, sample: Sample) -> Measured:
    """
    Return the metric or the gain, with the delete-one-row or delete-one-cluster jackknife of its sums.

    To first order this is the delta method, and it keeps closer to the nominal level with few clusters.
    Source: Efron & Stein (1981); sums as sufficient statistics make each deletion one subtraction.
    """
    formula = FORMULAS[metric.name]
    per_model = [_unit_sums(sample, scores) for scores in sample.models]
    wholes = [units.sum(axis=1) for units in per_model]
    value = metric.contrast([formula(whole) for whole in wholes])
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = [formula(whole[:, None] - units) for whole, units in zip(wholes, per_model, strict=True)]
    return Measured(float(value), jackknife(metric.contrast(left_out)), "jackknife of sums")


def _unit_sums(sample: Sample, scores: Floats) -> Floats:
    """Sums of each unit, (5, n_units); targets are centred, so that squares do not swamp their differences."""
    target, error = sample.truth - sample.truth.mean(), scores - sample.truth
    terms = (np.ones_like(error), target, target**2, error, error**2)
    return np.stack([sample.totals(sample.weights * term) for term in terms])
