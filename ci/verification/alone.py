"""Claims about a release that has no concurrent baseline: held against a reference, or against the quality it had offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.verification.blocks import Days, Newest
from ci.verification.claims import Claims, Limit, compared
from ci.verification.interface import BASELINE, CANARY
from ci.verification.labels import MILLION, MILLIONTHS
from ci.verification.sequential import Mean, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.params_verification import Rule
    from ci.verification.reference import Reference
    from ci.verification.windows import Windows

RECENT_DAYS = 56  # "not worse" is asked of these


class Quality(Claims):
    """
    What answers cost by day, a day one observation; `worse` at any day since the first, `not_worse` on the newest eight weeks.

    A release that was well in spring is not well for that in winter.
    """

    def __init__(self, worse_from: float, well_below: float) -> None:
        self._up = Days(worse_from, above=True, watchful=True)
        self._down = Newest(well_below, above=False, days=RECENT_DAYS)
        self.worse, self.not_worse = self._up, [self._down]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add days."""
        b = windows.arms[CANARY].sum(without)
        costs = b[:, 0] / (MILLION if windows.cells[0] == MILLIONTHS else 1)
        self._up.add(b[:, 1], costs)
        self._down.add(b[:, 1], costs)


class Held(Claims):
    """Bad requests of all, against a share that a reference allows, by the margins that a baseline would be given."""

    def __init__(self, share: float, rule: Rule) -> None:
        self._up, self._down = Share(above=True), Share(above=False)
        self._worse, self._not = odds_times(share, 1 + rule.allowed_increase), odds_times(share, 1 + rule.margin)
        self._not = max(self._not, rule.negligible or 0.0)
        self.worse, self.not_worse = self._up, [self._down]

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        b = windows.arms[CANARY].sum(without)
        self._up.add(b[:, 1], b[:, 0], self._worse)
        self._down.add(b[:, 1], b[:, 0], self._not)


class Shape(Claims):
    """Buckets, by the share above each cut, against the bands of a record; `not_worse` where the rule requires it."""

    def __init__(self, bands: Sequence[tuple[float, float]], rule: Rule) -> None:
        allowed, margin = 1 + rule.allowed_increase, 1 + rule.margin
        self._cuts = [
            [(Share(above=True), odds_times(high, allowed)), (Share(above=False), odds_times(low, 1 / allowed)),
             (Share(above=False), odds_times(high, margin)), (Share(above=True), odds_times(low, 1 / margin))]
            for low, high in bands
        ]  # fmt: skip
        self.worse = Mean(*[evidence for cut in self._cuts for evidence, _ in cut[:2]])
        self.not_worse = [evidence for cut in self._cuts for evidence, _ in cut[2:]] if rule.required else []

    def add(self, windows: Windows, without: str | None = None) -> None:
        """Add windows, perhaps leaving out one server."""
        b = windows.arms[CANARY].sum(without)
        n = b.sum(axis=1)
        for place, cut in enumerate(self._cuts):
            over = b[:, place + 1 :].sum(axis=1)
            for evidence, null in cut:
                evidence.add(n, over, null)


def odds_times(share: float, factor: float) -> float:
    """Return the share whose odds are so many times those of `share`; never quite none or all, where nothing can be shown."""
    found = share * factor / (1 + share * (factor - 1))
    return min(max(found, 1e-6), 1 - 1e-6)


def alone(rule: Rule, windows: Windows, reference: Reference | None) -> Claims | None:
    """Choose the test of a metric of one release; None where nothing is known that it could be held against."""
    upper = reference.upper() if reference else None
    if rule.kind == "quality":
        if rule.limit is not None:
            return Quality(rule.limit, rule.limit)
        allowed, margin = 1 + rule.allowed_increase, 1 + rule.margin
        return None if upper is None else Quality(odds_times(upper, allowed), odds_times(upper, margin))
    if rule.kind == "events":
        if upper is not None:
            return Held(upper, rule)
        return Limit(rule.limit) if rule.limit else None
    if rule.kind == "distribution" and reference and len(windows.cells) > 1:
        bands = reference.above(windows.cells)
        return Shape(bands, rule) if bands else None
    return None


def claims_of(rule: Rule, windows: Windows, reference: Reference | None = None) -> Claims | None:
    """Choose the test of a metric; None where there is nothing to compare with, and no limit either."""
    return compared(rule, windows) if BASELINE in windows.arms else alone(rule, windows, reference)
