"""Tests over several decisions: McNemar's for two models, Holm's for many slices, the budget of a test set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ci.stats.inputs import Floats


class McNemar(NamedTuple):
    """
    Rows that only one of two models gets right, and the exact two-sided p-value of "both are as accurate".

    only_first, only_second  rows
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(y: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> McNemar:
    """
    Compare the accuracy of two models' decisions, class codes (n_rows,), on the same independent rows.

    Exact: of the rows on which just one is right, each model's share is binomial with 1/2.
    Source: McNemar (1947); exact form in Agresti, Categorical Data Analysis (2013), chapter 11.

    Raises:
        ValueError: empty, or of unequal lengths.
    """
    from scipy import special

    truth, a, b = np.asarray(y), np.asarray(first), np.asarray(second)
    if truth.ndim != 1 or truth.size == 0 or not truth.shape == a.shape == b.shape:
        raise ValueError(f"mcnemar: needs equally long class codes, got {truth.shape}, {a.shape} and {b.shape}")
    only_a, only_b = int(((a == truth) & (b != truth)).sum()), int(((a != truth) & (b == truth)).sum())
    tail = special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)
    return McNemar(only_a, only_b, min(1.0, 2 * float(tail)))


def holm(p_values: npt.ArrayLike) -> Floats:
    """
    Adjust p-values (n_tests,) so that rejecting those ≤ α keeps the chance of any false rejection at most α.

    Source: Holm (1979), as adjusted p-values: the running maximum of (m − i + 1) · p_(i), at most 1.

    Raises:
        ValueError: a p-value is missing or outside [0, 1].
    """
    given = np.asarray(p_values, dtype=np.float64).ravel()
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("holm: p-values must lie in [0, 1]")
    order = np.argsort(given)
    steps = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def alpha_spending(k: int, alpha: float = 0.05) -> float:
    """
    Return the share of `alpha` that the k-th comparison (from 1) against one test set may spend, α/(k(k+1)).

    Over any number of comparisons the shares sum to less than `alpha`, so that reusing a test set stays honest.
    Source: Bonferroni with the weights 1/(k(k+1)), which sum to one; alpha spending in Foster & Stine (2008).

    Raises:
        ValueError: k is below 1, or alpha outside (0, 1).
    """
    if k < 1 or not 0 < alpha < 1:
        raise ValueError(f"alpha_spending: needs k ≥ 1 and alpha in (0, 1), got {k} and {alpha}")
    return alpha / (k * (k + 1))
