"""
Raw counters in, closed windows out.

A counter only rises; where it falls, its process was restarted, and what it shows was counted since. What is counted
between two moments at which an instance was not surely there is not used, in either arm: no data is not zero.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ci.verification.interface import Reading

    Ints = NDArray[np.int64]

_Place = tuple[str, str, str]  # metric, arm, instance


class Tape:
    """All samples so far, by series; adding the same reading twice changes nothing."""

    def __init__(self) -> None:
        self._samples: dict[tuple[_Place, str, str], dict[float, float]] = defaultdict(dict)
        self._seen: dict[_Place, set[float]] = defaultdict(set)
        self.complaints: list[str] = []

    def add(self, reading: Reading) -> None:
        """Add what a source said."""
        for s in reading.samples:
            self._samples[(s.metric, s.arm, s.instance), s.cell, s.series][s.at] = s.value
        for item in reading.seen:
            self._seen[item.metric, item.arm, item.instance].add(item.at)
        self.complaints += [text for text in reading.complaints if text not in self.complaints]

    def forget_before(self, moment: float) -> None:
        """Drop what no open window needs: of each series one sample before `moment` stays."""
        for key, samples in self._samples.items():
            times = sorted(samples)
            for at in times[: max(0, bisect.bisect_right(times, moment) - 1)]:
                del self._samples[key][at]
        for place, times_seen in self._seen.items():
            ordered = sorted(times_seen)
            self._seen[place].difference_update(ordered[: max(0, bisect.bisect_right(ordered, moment) - 1)])

    def instances(self, metric: str, arm: str) -> list[str]:
        """Name the instances that were ever seen."""
        return sorted(place[2] for place in self._seen if place[:2] == (metric, arm))

    def latest(self, metric: str, arm: str) -> float | None:
        """Return when an arm was last seen, if ever."""
        return max(
            (max(times) for place, times in self._seen.items() if place[:2] == (metric, arm) and times), default=None
        )

    def fresh(self, metric: str, arm: str, instance: str, edges: Sequence[float], stale_s: float) -> NDArray[np.bool_]:
        """Say for each window whether the instance was surely there at both its edges; shape (n_edges − 1,)."""
        times = np.array(sorted(self._seen.get((metric, arm, instance), ())))
        if not len(times):
            return np.zeros(len(edges) - 1, dtype=bool)
        last = np.searchsorted(times, edges, side="right") - 1
        there = (last >= 0) & (np.asarray(edges) - times[np.maximum(last, 0)] <= stale_s)
        found: NDArray[np.bool_] = there[1:] & there[:-1]
        return found

    def increments(self, metric: str, arm: str, instance: str, edges: Sequence[float]) -> dict[str, Ints]:
        """Count by cell what happened in each window; shape (n_edges − 1,) each."""
        place = (metric, arm, instance)
        found: dict[str, Ints] = {}
        first_seen = min(self._seen.get(place, ()), default=math.inf)
        for (where, cell, _), samples in self._samples.items():
            if where == place and samples:
                counted = _counted(samples, first_seen, edges)
                found[cell] = found[cell] + counted if cell in found else counted
        return found


def _counted(samples: Mapping[float, float], first_seen: float, edges: Sequence[float]) -> Ints:
    times = np.array(sorted(samples))
    values = np.array([samples[at] for at in times])
    steps = np.diff(values, prepend=values[0])
    steps = np.where(steps < 0, values, steps)  # a restart: all that it shows is new
    if first_seen < times[0]:  # its server was there before it: it began at nought
        steps[0] = values[0]
    total = np.concatenate([[0.0], np.cumsum(steps)])
    at_edges = total[np.searchsorted(times, edges, side="right")]
    found: Ints = np.rint(np.diff(at_edges)).astype(np.int64)
    return found
