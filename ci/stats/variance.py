"""Standard errors shared by the metrics: sandwich over clusters, delete-one jackknife."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ci.stats.inputs import Floats, Sample

DOUBT_ROWS = 4.0
"""
Rows that nobody saw, spread evenly over all outcomes of a decision, whose variance is added to what was seen: without
them, twenty right decisions of twenty would be certainty. Agresti & Coull (1998) add as many; Agresti & Min (2005) do
the same to paired tables. It moves no value, and vanishes as 1/n² in the variance.
"""


class Measured(NamedTuple):
    """A value (or a gain) with its standard error and how that was found."""

    value: float
    se: float
    method: str


def sandwich(influence: Floats, sample: Sample) -> float:
    """
    Return the standard error of a statistic whose error is the sum of `influence` (n_rows,), which sums to zero.

    SE² = G/(G−1) · Σ_g (Σ_{i∈g} influence_i)²; independent rows are clusters of one, and for a mean this is sd/√n.
    Source: Cameron, Gelbach & Miller (2008), section II (CR1), for a regression on a constant.

    Raises:
        ValueError: there is a single row.
    """
    sums = sample.totals(influence)
    if len(sums) < 2:
        raise ValueError("a single row has no spread; two are the least")
    return math.sqrt(len(sums) / (len(sums) - 1) * float(sums @ sums))


def jackknife(left_out: Floats) -> float:
    """
    Return the standard error from the statistic with each unit left out in turn, `left_out` (n_units,).

    SE² = (G−1)/G · Σ_g (θ_(g) − mean θ_(·))². Source: Tukey (1958); Efron & Stein (1981).

    Raises:
        ValueError: fewer than two units, or leaving one out leaves nothing to measure.
    """
    if len(left_out) < 2:
        raise ValueError("a single row has no spread; two are the least")
    if not np.isfinite(left_out).all():
        raise ValueError("one row or cluster holds all the weight, or all of a class; without it nothing is left")
    apart = left_out - left_out.mean()
    return math.sqrt((len(left_out) - 1) / len(left_out) * float(apart @ apart))
