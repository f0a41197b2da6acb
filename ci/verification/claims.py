"""What is claimed of one metric, and the evidence for it: that the canary is worse, and that it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.verification.interface import BASELINE, CANARY
from ci.verification.odds import Pairs
from ci.verification.sequential import Mean, OddsRatio, Share, crossed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ci.params_verification import Rule
    from ci.verification.sequential import Evidence
    from ci.verification.windows import Windows

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


class Claims:
    """Evidence on one metric, followed over windows; `not_worse` must all be shown (intersection–union)."""

    worse: Evidence
    not_worse: Sequence[Evidence]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        raise NotImplementedError

    def worse_at(self, alpha: float) -> int | None:
        """Return the window after which the canary is called worse."""
        return crossed(self.worse, alpha)

    def not_worse_at(self, alpha: float) -> int | None:
        """Return the window after which it is called not worse."""
        at = [crossed(item, alpha) for item in self.not_worse]
        known = [place for place in at if place is not None]
        return max(known) if known and len(known) == len(at) else None


class Events(Claims):
    """Bad requests of all, against a concurrent baseline."""

    def __init__(self, rule: Rule) -> None:
        self._up = OddsRatio(1 + rule.allowed_increase, above=True)
        self._down = OddsRatio(1 + rule.margin, above=False)
        self._few = Share(above=False)
        self._negligible = rule.negligible
        self.worse = self._up
        self.not_worse = [Mean(self._down, self._few) if rule.negligible else self._down]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        a, b = windows.arms[BASELINE].sum(without), windows.arms[CANARY].sum(without)
        pairs = Pairs(a[:, 1], a[:, 0], b[:, 1], b[:, 0])
        self._up.add(pairs)
        self._down.add(pairs)
        if self._negligible:
            self._few.add(b[:, 1], b[:, 0], self._negligible)


class Limit(Claims):
    """Bad requests of all, against an absolute limit: there is only one release."""

    def __init__(self, limit: float) -> None:
        self._limit, self._up, self._down = limit, Share(above=True), Share(above=False)
        self.worse, self.not_worse = self._up, [self._down]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        b = windows.arms[CANARY].sum(without)
        self._up.add(b[:, 1], b[:, 0], self._limit)
        self._down.add(b[:, 1], b[:, 0], self._limit)


class Alone(Claims):
    """Events without exposures, against the share of traffic (Lindon & Malek, NeurIPS 2022)."""

    def __init__(self, rule: Rule) -> None:
        self._rule, self._up, self._down = rule, Share(above=True), Share(above=False)
        self.worse, self.not_worse = self._up, [self._down]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        a, b = windows.arms[BASELINE].sum(without)[:, 0], windows.arms[CANARY].sum(without)[:, 0]
        self._up.add(a + b, b, tilted(windows.weights, 1 + self._rule.allowed_increase))
        self._down.add(a + b, b, tilted(windows.weights, 1 + self._rule.margin))


class Distribution(Claims):
    """
    Buckets, by the odds of lying above each cut.

    A new model may answer differently: what counts is a change beyond the allowed factor, up or down, at any cut. Cuts
    share the evidence for "worse"; "not worse" needs all of them, or a tail too thin to matter.
    """

    def __init__(self, rule: Rule, n_cuts: int) -> None:
        allowed, margin = 1 + rule.allowed_increase, 1 + rule.margin
        self._rule, self._cuts = rule, range(n_cuts)
        self._up = [OddsRatio(allowed, above=True) for _ in self._cuts]
        self._down = [OddsRatio(1 / allowed, above=False) for _ in self._cuts]
        self._not_up = [OddsRatio(margin, above=False) for _ in self._cuts]
        self._not_down = [OddsRatio(1 / margin, above=True) for _ in self._cuts]
        self.worse = Mean(*self._up, *self._down)
        self._thin = [[Share(above=False) for _ in range(2)] for _ in self._cuts]
        self.not_worse = [*self._shown(self._not_up, 0), *self._shown(self._not_down, 1)] if rule.required else []

    def _shown(self, evidence: list[OddsRatio], side: int) -> list[Evidence]:
        if not self._rule.negligible:
            return list(evidence)
        return [Mean(item, self._thin[cut][side]) for cut, item in enumerate(evidence)]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        a, b = windows.arms[BASELINE].sum(without), windows.arms[CANARY].sum(without)
        n_a, n_b = a.sum(axis=1), b.sum(axis=1)
        for cut in self._cuts:
            over_a, over_b = a[:, cut + 1 :].sum(axis=1), b[:, cut + 1 :].sum(axis=1)
            pairs = Pairs(n_a, over_a, n_b, over_b)
            self._up[cut].add(pairs)
            self._down[cut].add(pairs)
            if self._rule.required:
                self._not_up[cut].add(pairs)
                self._not_down[cut].add(pairs)
                self._thin_tail(cut, n_a + n_b, over_a + over_b)

    def _thin_tail(self, cut: int, n: Ints, over: Ints) -> None:
        for item, tail in zip(self._thin[cut], (over, n - over), strict=True):
            if self._rule.negligible:
                item.add(n, tail, self._rule.negligible)


class Ratio:
    """Evidence that the releases did not get the traffic that they should (sample-ratio mismatch)."""

    def __init__(self, tolerance: float) -> None:
        self._factor, self._up, self._down = 1 + tolerance, Share(above=True), Share(above=False)
        self._mean = Mean(self._up, self._down)

    def add(self, windows: Windows) -> None:
        """Add windows of an events metric."""
        a, b = windows.arms[BASELINE].sum()[:, 1], windows.arms[CANARY].sum()[:, 1]
        split = (windows.weights > 0) & (windows.weights < 1)
        n, mine = np.where(split, a + b, 0), np.where(split, b, 0)
        weights = np.where(split, windows.weights, 0.5)
        self._up.add(n, mine, tilted(weights, self._factor))
        self._down.add(n, mine, tilted(weights, 1 / self._factor))

    @property
    def log_e(self) -> Floats:
        """Shape (n_windows,)."""
        return self._mean.log_e


def tilted(share: Floats, ratio: float) -> Floats:
    """Return the share whose odds are `ratio` times those of `share`."""
    return share * ratio / (1 + share * (ratio - 1))


def compared(rule: Rule, windows: Windows) -> Claims | None:
    """Choose the test of a metric of two releases over the same windows."""
    if rule.kind in {"events", "quality"}:
        return Events(rule)
    if rule.kind == "counts":
        return Alone(rule)
    return Distribution(rule, len(windows.cells) - 1) if len(windows.cells) > 1 else None
