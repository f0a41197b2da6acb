"""
Evidence on the mean cost of answers over days that are each a storm or a fair day as a whole.

The answers of one day are not independent, so a day is one observation: a share of wrong ones, or a mean squared error,
between 0 and 1. A bet of a fixed part
of the stake on "more than m" multiplies it by 1 + λ(x − m); as long as the mean given the past is at most m, no mixture
of such bets reaches 1/α with probability more than α, however the answers of a day hang together (Waudby-Smith & Ramdas,
arXiv 2010.09686, section 4). With all but a tenth of the stake at most on one day, one storm cannot decide.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ci.verification.sequential import log_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

PARTS = (0.3, 0.6, 0.9)  # of the largest bet that cannot go broke
MEMORY = 10  # days from which the next bet is made
_DOUBT, _SPREAD = 1.0, 0.01  # one day at the null, and the variance between days, before any was seen


class Days:
    """
    Evidence against "the mean daily share is at most `null`" (`above`) or "at least `null`".

    With `watchful` half of the stake bets by the last ten days: next to nothing while all is well, so that a release that
    was well for months is found out as soon as a new one.
    """

    def __init__(self, null: float, *, above: bool, watchful: bool) -> None:
        self.null, self._above, self._watchful = null, above, watchful
        self._gains: Floats = np.zeros(0)

    def add(self, n: Ints, bad: Ints | Floats) -> None:
        """Add days: answers and what they cost in all, shape (n_days,). A day without answers says nothing."""
        share = np.where(n > 0, bad / np.maximum(n, 1), self.null)
        most = self.null if self._above else 1 - self.null
        gain = (share - self.null) * (1 if self._above else -1) / most
        self._gains = np.concatenate([self._gains, gain])

    @property
    def log_e(self) -> Floats:
        """Shape (n_days,)."""
        if not len(self._gains):
            return np.zeros(0)
        steady = np.cumsum(np.log1p(self._gains[:, None] * np.asarray(PARTS)), axis=0)
        found = log_sum(steady) - math.log(len(PARTS))
        if not self._watchful:
            return found
        quick = np.cumsum(np.log1p(self._gains * self._parts()))
        return log_sum(np.stack([found, quick], axis=1)) - math.log(2)

    def _parts(self) -> Floats:
        """Choose each day's bet by the days before it, as Kelly would; shape (n_days,)."""
        most = self.null if self._above else 1 - self.null
        found = np.zeros(len(self._gains))
        for day in range(len(found)):
            known = self._gains[max(0, day - MEMORY) : day]
            mean = known.sum() / (_DOUBT + len(known))
            variance = (_SPREAD / most**2 * _DOUBT + ((known - mean) ** 2).sum()) / (_DOUBT + len(known))
            found[day] = min(max(0.0, mean / (variance + mean * mean)), PARTS[-1])
        return found


class Newest:
    """Evidence on the newest days alone: for what shall be true now, and not only once; days before them count as nothing."""

    def __init__(self, null: float, *, above: bool, days: int) -> None:
        self._null, self._above, self._most = null, above, days
        self._n: list[int] = []
        self._bad: list[float] = []

    def add(self, n: Ints, bad: Ints | Floats) -> None:
        """Add days: answers and what they cost in all, shape (n_days,)."""
        self._n += n.tolist()
        self._bad += bad.tolist()

    @property
    def log_e(self) -> Floats:
        """Shape (n_days,)."""
        newest = Days(self._null, above=self._above, watchful=False)
        newest.add(
            np.array(self._n[-self._most :], dtype=np.int64), np.array(self._bad[-self._most :], dtype=np.float64)
        )
        return np.concatenate([np.zeros(max(0, len(self._n) - self._most)), newest.log_e])
