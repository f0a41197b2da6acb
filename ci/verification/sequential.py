"""
Evidence that may be looked at as often as one likes.

An e-process starts at 1 and, while its hypothesis holds, reaches 1/α at any time with probability at most α (Ville
1939). So whoever stops at the first look above 1/α is wrong at most α of the time, whenever and however often he looks.
Evidence is followed window by window and the first crossing counts: the verdict depends on the windows alone, not on
when somebody asked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import gammaln

from ci.verification.odds import RATIOS, Pairs, log_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

METHOD = "slipway-sequential/1"
_TO_NOUGHT = 1000.0  # an alternative of nearly no bad requests, for an arm that has none


class Evidence(Protocol):
    """An e-process, followed over windows; `log_e` is its natural logarithm after each of them."""

    @property
    def log_e(self) -> Floats:
        """Shape (n_windows,)."""


def crossed(evidence: Evidence, alpha: float) -> int | None:
    """Return the first window after which the hypothesis is rejected at level α, or None."""
    if not 0 < alpha < 1:
        return None
    above = np.flatnonzero(evidence.log_e >= -math.log(alpha))
    return int(above[0]) if len(above) else None


def now(evidence: Evidence) -> float:
    """Logarithm of the evidence after the last window; 0 before the first."""
    return float(evidence.log_e[-1]) if len(evidence.log_e) else 0.0


def p_value(evidence: Evidence) -> float:
    """Anytime-valid p-value so far: 1 over the most evidence there ever was, at most 1."""
    return float(min(1.0, math.exp(-float(evidence.log_e.max(initial=0.0)))))


class Mixture:
    """
    Products of likelihood ratios to several alternatives, mixed with equal shares.

    Windows may come one at a time or all at once: the sums are the same to the last bit.
    """

    def __init__(self, alternatives: int) -> None:
        self._sums = np.zeros((1, alternatives))
        self._share = -math.log(alternatives)
        self._parts: list[Floats] = []

    def add(self, log_steps_: Floats) -> None:
        """Add windows; shape (n_windows, n_alternatives)."""
        if len(log_steps_):
            sums = np.cumsum(np.concatenate([self._sums, log_steps_]), axis=0)[1:]
            self._sums = sums[-1:]
            self._parts.append(log_sum(sums) + self._share)

    @property
    def log_e(self) -> Floats:
        """Shape (n_windows,)."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0] if self._parts else np.zeros(0)


class Mean:
    """The average of e-processes of one hypothesis: an e-process again."""

    def __init__(self, *of: Evidence) -> None:
        self.of = of

    @property
    def log_e(self) -> Floats:
        """Shape (n_windows,)."""
        return log_sum(np.stack([item.log_e for item in self.of], axis=1)) - math.log(len(self.of))


class Product:
    """Stretches of windows one after the other, each with evidence of its own: an e-process again."""

    def __init__(self, stretches: Sequence[Floats]) -> None:
        ends = np.cumsum([0.0, *(part[-1] for part in stretches)])
        self.log_e: Floats = np.concatenate([np.zeros(0), *(p + e for p, e in zip(stretches, ends, strict=False))])


def log_sum(terms: Floats) -> Floats:
    """Logarithm of the sum of exponentials along the last axis; shape (n, k) to (n,)."""
    top = terms.max(axis=1, initial=-np.inf)
    found: Floats = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
    return found


class OddsRatio:
    """
    Evidence on the ratio of the canary's odds of a bad request to the baseline's.

    With `beyond` > 1 alternatives lie above the null: evidence against "at most `null`". Otherwise below: against "at
    least `null`". By monotone likelihood the null's border stands for all of it.
    """

    def __init__(self, null: float, *, above: bool, ratios: Sequence[float] = RATIOS) -> None:
        self.null = null
        self._ratios = list(ratios) if above else [1 / ratio for ratio in ratios]
        self._mixture = Mixture(len(self._ratios))

    def add(self, pairs: Pairs) -> None:
        """Add windows."""
        self._mixture.add(log_steps(pairs, self.null, self._ratios))

    @property
    def log_e(self) -> Floats:
        """Shape (n_windows,)."""
        return self._mixture.log_e


class Share:
    """
    Evidence on the share of bad requests of one arm alone, against "at most `null`" (`above`) or "at least `null`".

    Binomial likelihood ratios at odds r times the null's; valid while the share drifts on its side of the null. `null`
    may be an array, (n_windows,), for a share that is set anew, such as a weight.
    """

    def __init__(self, *, above: bool, ratios: Sequence[float] = (*RATIOS, _TO_NOUGHT)) -> None:
        self._ratios = np.asarray(ratios if above else [1 / ratio for ratio in ratios])
        self._mixture = Mixture(len(self._ratios))

    def add(self, n: Ints, bad: Ints, null: Floats | float) -> None:
        """Add windows; integers of shape (n_windows,)."""
        share = np.broadcast_to(np.asarray(null, dtype=float), n.shape)
        spread = np.log1p(share[:, None] * (self._ratios - 1))
        self._mixture.add(bad[:, None] * np.log(self._ratios) - n[:, None] * spread)

    @property
    def log_e(self) -> Floats:
        """Shape (n_windows,)."""
        return self._mixture.log_e


def dirichlet(counts: Ints, shares: Sequence[float], strength: float = 100.0) -> Floats:
    """
    Logarithm of the evidence that events do not fall into k kinds with these `shares`; `counts` is (n_windows, k).

    Dirichlet-multinomial mixture with parameters strength·shares (Lindon & Malek, NeurIPS 2022, eq. 9). For events of
    two arms without exposures: shares are those of the traffic.
    """
    rho = np.asarray(shares, dtype=float) / np.sum(shares)
    total = np.cumsum(counts, axis=0)
    found: Floats = _log_marginal(total, strength * rho) - total @ np.log(rho)
    return found


def _log_marginal(total: Ints, prior: Floats) -> Floats:
    n = total.sum(axis=1)
    found: Floats = (
        gammaln(prior.sum()) - gammaln(prior.sum() + n) + (gammaln(prior + total) - gammaln(prior)).sum(axis=1)
    )
    return found


def rate_ratio_band(
    counts: Sequence[int], shares: Sequence[float], alpha: float, strength: float = 100.0
) -> tuple[float, float]:
    """
    Confidence sequence for log(rate of b / rate of a) from counts without exposures (a, b), of traffic split by `shares`.

    The Beta mixture of `dirichlet`, at each candidate ratio with the same prior (Lindon & Malek, NeurIPS 2022).
    """
    total = np.asarray([counts], dtype=np.int64)
    rho = np.asarray(shares, dtype=float) / np.sum(shares)
    marginal = float(_log_marginal(total, strength * rho)[0])

    def surplus(delta: float) -> float:
        tilted = rho * np.exp([0.0, delta])
        return float(marginal - total[0] @ np.log(tilted / tilted.sum()) + math.log(alpha))

    best = float(np.log((total[0, 1] + 0.5) / (total[0, 0] + 0.5)) - np.log(rho[1] / rho[0]))
    return _root(surplus, best, -1.0), _root(surplus, best, 1.0)


def _root(of: Callable[[float], float], inside: float, direction: float) -> float:
    """Find where a function that is negative `inside` turns positive, by doubling and bisecting."""
    if of(inside) > 0:
        return inside
    step = 1e-3
    while of(inside + direction * step) < 0:
        step *= 2
        if step > 1e3:
            return direction * math.inf
    low, high = 0.0, step
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if of(inside + direction * middle) < 0 else (low, middle)
    return inside + direction * high
