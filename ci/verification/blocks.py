"""
Evidence on the mean share of wrong answers over days that are each a storm or a fair day as a whole.

The answers of one day are not independent, so a day is one observation: a share between 0 and 1. A bet of a fixed part
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
WEEK = 7


class Days:
    """
    Evidence against "the mean daily share is at most `null`" (`above`) or "at least `null`".

    With `restart` a bet begins anew each week, and those that begin later have smaller shares, 1/(j(j+1)): a release that
    was well for months is found out nearly as soon as a new one. An e-process at all times, too.
    """

    def __init__(self, null: float, *, above: bool, restart: bool) -> None:
        self.null, self._above, self._restart = null, above, restart
        self._steps = np.zeros((0, len(PARTS)))

    def add(self, n: Ints, bad: Ints) -> None:
        """Add days; integers of shape (n_days,). A day without answers says nothing."""
        share = np.where(n > 0, bad / np.maximum(n, 1), self.null)
        most = self.null if self._above else 1 - self.null
        gain = (share - self.null) * (1 if self._above else -1) / most
        self._steps = np.concatenate([self._steps, np.log1p(gain[:, None] * np.asarray(PARTS))])

    @property
    def log_e(self) -> Floats:
        """Shape (n_days,)."""
        days = len(self._steps)
        sums = np.cumsum(self._steps, axis=0)
        starts = range(0, days, WEEK) if self._restart else range(min(days, 1))
        share = -math.log(len(PARTS))
        terms, left = [], 0.0
        for place, start in enumerate(starts, 1):
            before = sums[start - 1] if start else 0.0
            won = np.where(np.arange(days)[:, None] >= start, sums - before, 0.0)
            weight = 1 / (place * (place + 1)) if self._restart else 1.0
            left += weight
            terms.append(log_sum(won) + share + math.log(weight))
        if left < 1:  # bets that have not begun are worth what they were given
            terms.append(np.full(days, math.log(1 - left)))
        return log_sum(np.stack(terms, axis=1)) if terms else np.zeros(0)


class Newest:
    """Evidence on the newest days alone: for what shall be true now, and not only once; days before them count as nothing."""

    def __init__(self, null: float, *, above: bool, days: int) -> None:
        self._null, self._above, self._most = null, above, days
        self._n: list[int] = []
        self._bad: list[int] = []

    def add(self, n: Ints, bad: Ints) -> None:
        """Add days; integers of shape (n_days,)."""
        self._n += n.tolist()
        self._bad += bad.tolist()

    @property
    def log_e(self) -> Floats:
        """Shape (n_days,)."""
        newest = Days(self._null, above=self._above, restart=False)
        newest.add(np.array(self._n[-self._most :], dtype=np.int64), np.array(self._bad[-self._most :], dtype=np.int64))
        return np.concatenate([np.zeros(max(0, len(self._n) - self._most)), newest.log_e])
