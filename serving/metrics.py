"""
Counting, and the Prometheus text format.

Counting here is an addition to a list or a dict and nothing more: everything is counted on the event loop, so nothing
needs a lock, and a page is put together only when it is asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
Kind = Literal["counter", "gauge", "histogram"]


class Histogram:
    """Counts by upper bound (inclusive), with sum and number."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = sorted(set(bounds))
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add_many(self, values: np.ndarray) -> None:
        """Count an array of finite values."""
        places = np.searchsorted(self.bounds, values, side="left")
        for place, number in enumerate(np.bincount(places, minlength=len(self.counts)).tolist()):
            self.counts[place] += number
        self.sum += float(values.sum(dtype=np.float64))


def labels(**pairs: object) -> str:
    """Spell labels, escaped, in the order given."""
    return ",".join(f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in pairs.items())


class Page:
    """One exposition: samples gathered by family, whatever the order in which they come."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[Kind, str, list[str]]] = {}

    def family(self, name: str, kind: Kind, text: str) -> None:
        """Declare a family; what has no declaration cannot get samples."""
        self._families[name] = (kind, text, [])

    def sample(self, name: str, where: str, value: float) -> None:
        """Add the value of a counter or gauge."""
        self._families[name][2].append(f"{name}{{{where}}} {_number(value)}" if where else f"{name} {_number(value)}")

    def samples(self, name: str, where: str, values: Iterable[tuple[str, float]]) -> None:
        """Add several, each with labels of its own after the common ones."""
        for own, value in values:
            self.sample(name, f"{where},{own}", value)

    def histogram(self, name: str, where: str, histogram: Histogram) -> None:
        """Add a histogram."""
        lines, total = self._families[name][2], 0
        for bound, count in zip([*histogram.bounds, float("inf")], histogram.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{where},le="{_number(bound)}"}} {total}')
        lines.append(f"{name}_sum{{{where}}} {_number(histogram.sum)}")
        lines.append(f"{name}_count{{{where}}} {total}")

    def render(self) -> bytes:
        """Spell the page; families without samples are left out."""
        out: list[str] = []
        for name, (kind, text, lines) in self._families.items():
            if lines:
                out += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]
        return ("\n".join(out) + "\n").encode()


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
