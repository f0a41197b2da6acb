"""Closed windows: what each instance of both arms counted between the same two moments, for one metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.errors import BadInput
from ci.verification.interface import BASELINE, CANARY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ci.verification.tape import Tape

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """
    Counts of one arm: `values` has shape (n_windows, n_instances, n_cells), non-negative.

    Cells of events are (bad, all), of answers that cost parts of one (millionths, all); of counts (events,); of distributions the buckets, not cumulative.
    """

    instances: tuple[str, ...]
    values: Ints

    def sum(self, without: str | None = None) -> Ints:
        """Add the instances up, perhaps without one; shape (n_windows, n_cells)."""
        keep = [place for place, name in enumerate(self.instances) if name != without]
        found: Ints = self.values[:, keep, :].sum(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one metric; `starts` in seconds since 1970, shape (n_windows,), each `length_s` long."""

    metric: str
    length_s: float
    starts: NDArray[np.float64]
    cells: tuple[str, ...]
    arms: Mapping[str, Counts]
    weights: NDArray[np.float64]  # share of the traffic that the canary should get, 0 to 1

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.starts)

    def tail(self, n: int, cells: tuple[str, ...]) -> Windows:
        """Return the last `n` windows with these cells, which must be among its own."""
        columns = [self.cells.index(cell) for cell in cells]
        arms = {arm: Counts(found.instances, found.values[-n:][:, :, columns]) for arm, found in self.arms.items()}
        return Windows(self.metric, self.length_s, self.starts[-n:], cells, arms, self.weights[-n:])

    def as_json(self) -> dict[str, Any]:
        """Spell for the evidence file."""
        return {
            "length_s": self.length_s,
            "cells": list(self.cells),
            "starts": self.starts.tolist(),
            "weights": self.weights.tolist(),
            "arms": {
                arm: {"instances": list(counts.instances), "values": counts.values.tolist()}
                for arm, counts in self.arms.items()
            },
        }

    @classmethod
    def from_json(cls, metric: str, document: Any) -> Windows:
        """
        Read what `as_json` spelled.

        Raises:
            BadInput: it is not that, or holds impossible counts.
        """
        try:
            return cls._read(metric, document)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadInput(f"windows of {metric}: {error}") from error

    @classmethod
    def _read(cls, metric: str, document: Any) -> Windows:
        cells = tuple(str(cell) for cell in document["cells"])
        starts = np.array(document["starts"], dtype=float)
        arms = {}
        for arm, found in document["arms"].items():
            instances = tuple(str(name) for name in found["instances"])
            values = np.array(found["values"], dtype=np.int64).reshape(len(starts), len(instances), len(cells))
            if (values < 0).any():
                raise ValueError(f"negative counts of the {arm}")
            arms[arm] = Counts(instances, values)
        if not set(arms) <= {BASELINE, CANARY}:
            raise ValueError("arms other than baseline and canary")
        weights = np.array(document["weights"], dtype=float)
        if len(weights) != len(starts):
            raise ValueError("weights and starts differ in number")
        return cls(metric, float(document["length_s"]), starts, cells, arms, weights)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which windows there are: from `origin` on, `length_s` each; the first `left_out` are not used."""

    origin: float
    length_s: float
    lag_s: float
    stale_s: float
    left_out: int = 1

    def edges(self, first: int, now: float) -> list[float]:
        """Return the edges of the windows from number `first` on that are closed at `now`; none: one edge or less."""
        closed = int((now - self.lag_s - self.origin) / self.length_s + 1e-9)
        first = max(first, self.left_out)
        return [self.origin + place * self.length_s for place in range(first, closed + 1)]


def cut(
    tape: Tape,
    grid: Grid,
    edges: Sequence[float],
    metric: str,
    kind: str,
    instances: Mapping[str, Sequence[str]],
    weight: float,
) -> tuple[Windows, int]:
    """
    Cut closed windows from a tape; also return how many were unusable, because an arm was not surely there.

    `instances` maps each arm to the servers that must be there, or to nothing where any will do.
    """
    usable = np.ones(len(edges) - 1, dtype=bool)
    found: dict[str, tuple[list[str], dict[str, dict[str, Ints]], dict[str, NDArray[np.bool_]]]] = {}
    for arm, expected in instances.items():
        names = sorted({*expected, *tape.instances(metric, arm)})
        fresh = {name: tape.fresh(metric, arm, name, edges, grid.stale_s) for name in names}
        there = np.array([fresh[name] for name in (expected or names)]).reshape(-1, len(edges) - 1)
        usable &= there.all(axis=0) & (len(there) > 0) if expected else there.any(axis=0)
        found[arm] = names, {name: tape.increments(metric, arm, name, edges) for name in names}, fresh
    cells = _cells(kind, [list(by_name.values()) for _, by_name, _ in found.values()])
    arms = {}
    for arm, (names, by_name, fresh) in found.items():
        values = np.zeros((len(edges) - 1, len(names), len(cells)), dtype=np.int64)
        for place, name in enumerate(names):
            values[:, place, :] = _spread(kind, cells, by_name[name], len(edges) - 1) * fresh[name][:, None]
        arms[arm] = Counts(tuple(names), values[usable])
    starts = np.asarray(edges[:-1], dtype=float)[usable]
    weights = np.full(len(starts), weight)
    return Windows(metric, grid.length_s, starts, cells, arms, weights), int((~usable).sum())


def _cells(kind: str, counted: Sequence[Sequence[Mapping[str, Ints]]]) -> tuple[str, ...]:
    """Name the cells; of buckets those that all arms have, because only those can be compared."""
    if kind != "distribution":
        return ("bad", "all") if kind == "events" else ("bad",)
    of_arms = [{cell for counts in arm for cell in counts} for arm in counted]
    common = set.intersection(*[cells for cells in of_arms if cells] or [set()])
    return tuple(sorted(common, key=_order))


def _spread(kind: str, cells: tuple[str, ...], counts: Mapping[str, Ints], n: int) -> Ints:
    nought = np.zeros(n, dtype=np.int64)
    if kind == "events":
        total = counts.get("total", nought)
        bad = counts.get("bad", nought)
        if "good" in counts:  # a histogram: what is over the objective is what is not under it
            bad = total - counts["good"]
        bad = np.clip(bad, 0, None)
        return np.stack([bad, np.maximum(total, bad)], axis=1)
    if kind == "counts":
        return np.clip(counts.get("bad", nought), 0, None)[:, None]
    below = np.stack([counts.get(cell, nought) for cell in cells], axis=1) if cells else np.zeros((n, 0), np.int64)
    return np.clip(np.diff(below, axis=1, prepend=0), 0, None)


def joined(parts: Sequence[Windows]) -> Windows:
    """Put stretches of windows of one metric behind each other; instances and cells may differ from one to the next."""
    first = parts[0]
    cells = tuple(sorted({c for part in parts for c in part.cells}, key=_order))
    arms = {}
    for arm in first.arms:
        names = tuple(sorted({name for part in parts for name in part.arms[arm].instances}))
        arms[arm] = Counts(names, np.concatenate([_laid_out(part, arm, names, cells) for part in parts]))
    starts = np.concatenate([part.starts for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    return Windows(first.metric, first.length_s, starts, cells, arms, weights)


def _order(cell: str) -> tuple[int, float, str]:
    try:
        return 1, float(cell.replace("+Inf", "inf")), cell
    except ValueError:
        return 0, {"bad": 0.0, "millionths": 0.0, "all": 1.0}.get(cell, 2.0), cell


def _laid_out(part: Windows, arm: str, names: tuple[str, ...], cells: tuple[str, ...]) -> Ints:
    counts = part.arms[arm]
    out = np.zeros((len(part), len(names), len(cells)), dtype=np.int64)
    rows = [names.index(name) for name in counts.instances]
    columns = [cells.index(cell) for cell in part.cells]
    if rows and columns:
        out[np.ix_(range(len(part)), rows, columns)] = counts.values
    return out
