"""
The conditional odds-ratio test of two arms, window by window: exact, whatever the base rate does.

Given n_a and n_b requests and m bad ones in all, how many of the m fall on the canary depends on the odds ratio alone
(Fisher's noncentral hypergeometric distribution). So a base rate that drifts, a weight that rises and a window without
requests cannot mislead it. Turner, Ly & Grünwald, arXiv 2106.02693; Howard et al., arXiv 1810.08240 for mixtures.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
_SHORT = 24  # bad events up to which the sum is a short polynomial that no float can overflow
_LARGEST_QUOTIENT = 1e6  # of canary to baseline requests, for the same reason
_DEVIATIONS = 12.0  # terms further from the mode than this add less than a float can hold
_SLACK = 48
_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Pairs:
    """Requests and bad ones of baseline (a) and canary (b) per window; integers, shape (n_windows,) each."""

    n_a: Ints
    y_a: Ints
    n_b: Ints
    y_b: Ints

    @classmethod
    def of(cls, n_a: Sequence[int], y_a: Sequence[int], n_b: Sequence[int], y_b: Sequence[int]) -> Pairs:
        """
        Check and keep.

        Raises:
            ValueError: negative counts, more bad requests than requests, or lengths that differ.
        """
        made = [np.asarray(item, dtype=np.int64) for item in (n_a, y_a, n_b, y_b)]
        if len({len(item) for item in made}) != 1:
            raise ValueError("the arms have different numbers of windows")
        if any((item < 0).any() for item in made) or (made[1] > made[0]).any() or (made[3] > made[2]).any():
            raise ValueError("bad requests must be between none and all of the requests")
        return cls(*made)

    @property
    def bad(self) -> Ints:
        """Bad requests of both arms, shape (n_windows,)."""
        return self.y_a + self.y_b


def log_steps(pairs: Pairs, null: float, ratios: Sequence[float]) -> Floats:
    """
    Logarithm of P(y_b | odds ratio null·r) / P(y_b | null) for each window and each r; shape (n_windows, n_ratios).

    A window in which nothing, or everything, was bad says nothing and gets exactly 0.
    """
    steps = np.zeros((len(pairs.n_a), len(ratios)))
    m = pairs.bad
    telling = (m > 0) & (pairs.n_a > 0) & (pairs.n_b > 0) & (m < pairs.n_a + pairs.n_b)
    short = telling & (m <= np.minimum(_SHORT, pairs.n_a)) & (pairs.n_b < _LARGEST_QUOTIENT * (pairs.n_a - m + 1))
    odds = [null, *(null * ratio for ratio in ratios)]
    for which, normalisers in ((short, _short), (telling & ~short, _long)):
        index = np.flatnonzero(which)
        if len(index):
            n_a, n_b, bad = pairs.n_a[index], pairs.n_b[index], m[index]
            log_z = normalisers(n_a, n_b, bad, odds)
            steps[index] = pairs.y_b[index, None] * np.log(ratios) - (log_z[:, 1:] - log_z[:, :1])
    return steps


def _short(n_a: Ints, n_b: Ints, m: Ints, odds: Sequence[float]) -> Floats:
    """Sum the polynomial Σ_k C(n_b,k)·C(n_a,m−k)·w^k / C(n_a,m) by Horner's rule, windows of equal m together."""
    found = np.empty((len(m), len(odds)))
    order = np.argsort(m, kind="stable")
    cuts = np.searchsorted(m[order], np.arange(1, int(m.max()) + 2))
    weights = np.asarray(odds)
    for bad, (start, end) in enumerate(itertools.pairwise(cuts), 1):
        index = order[start:end]
        if not len(index):
            continue
        a, b = n_a[index].astype(float), n_b[index].astype(float)
        total = np.ones((len(weights), len(index)))
        for k in range(bad - 1, -1, -1):  # term k+1 over term k, so that no factorial is needed
            step = np.maximum(b - k, 0.0) * (bad - k) / ((k + 1) * (a - bad + k + 1))
            total *= step
            total *= weights[:, None]
            total += 1.0
        found[index] = np.log(total).T
    return found


def _long(n_a: Ints, n_b: Ints, m: Ints, odds: Sequence[float]) -> Floats:
    """Sum the same terms around their mode, as logarithms."""
    found = np.empty((len(m), len(odds)))
    log_factorial = _log_factorials(int((n_a + n_b).max()))
    half = (_DEVIATIONS * np.sqrt(np.minimum(np.minimum(m, n_b), n_a + n_b - m) + 1.0)).astype(np.int64) + _SLACK
    order = np.argsort(half, kind="stable")
    while len(order):
        width = 2 * int(half[order[0]]) + 1
        room = max(1, _AT_ONCE // (2 * width))
        together = half[order[:room]] <= 2 * half[order[0]]
        index, order = order[: int(together.sum())], order[int(together.sum()) :]
        for place, w in enumerate(odds):
            found[index, place] = _around_mode(n_a[index], n_b[index], m[index], w, half[index], log_factorial)
    return found


def _around_mode(n_a: Ints, n_b: Ints, m: Ints, w: float, half: Ints, log_factorial: Floats) -> Floats:
    low, high = np.maximum(0, m - n_a), np.minimum(m, n_b)
    mode = np.clip(_mode(n_a, n_b, m, w), low, high)
    k = mode[:, None] + np.arange(-int(half.max()), int(half.max()) + 1)
    inside = (k >= low[:, None]) & (k <= high[:, None])
    k = np.clip(k, low[:, None], high[:, None])
    f = log_factorial
    terms = -f[k] - f[n_b[:, None] - k] - f[m[:, None] - k] - f[n_a[:, None] - m[:, None] + k] + k * np.log(w)
    terms[~inside] = -np.inf
    top = terms.max(axis=1)
    sums: Floats = top + np.log(np.exp(terms - top[:, None]).sum(axis=1)) + f[n_a] + f[n_b]
    return sums


def _mode(n_a: Ints, n_b: Ints, m: Ints, w: float) -> Ints:
    """Most probable number of bad canary requests (Liao & Rosen 2001)."""
    a = w - 1.0
    b = -(n_a - m) - (n_b + m + 2.0) * w
    c = (n_b + 1.0) * (m + 1.0) * w
    found: Ints = np.floor(-2 * c / (b - np.sqrt(np.maximum(b * b - 4 * a * c, 0.0)))).astype(np.int64)
    return found


def _log_factorials(largest: int) -> Floats:
    found: Floats = gammaln(np.arange(largest + 1) + 1.0)
    return found
