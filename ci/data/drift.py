"""
Has a feature drifted?

A period is compared with the periods before it, and with the same season of an earlier year where there is one. PSI
alone cries wolf every spring, and a test of significance cries wolf at every large n; so three conditions must hold at
once, and the third is the feature's own history.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Type

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from ci.contract import Column, Contract
    from ci.params import Drift

MISSING = "(missing)"
GRID = 60
BINS = 10
_MAX_VALUES = 2000
_ENOUGH_HISTORY = 6
_CONFIDENCE = 0.001

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """One feature in the newest period: its PSI, what the PSI would have to exceed, and what changed."""

    name: str
    psi: float
    limit: float
    floor: float
    past: float | None
    season_psi: float | None
    new: Sequence[str]
    gone: Sequence[str]
    new_share: float
    history: int
    drifted: bool

    @property
    def settled(self) -> bool:
        """Say whether there is enough history to reject on."""
        return self.history >= _ENOUGH_HISTORY


class Profile:
    """
    Counts per period and column, in bins that later comparisons merge; one pass over the rows.

    The grid of a number comes from the first period that has values, so that it is fixed by the data alone.
    """

    def __init__(self, contract: Contract) -> None:
        self._columns = {
            name: column
            for name, column in contract.columns.items()
            if (name in contract.features or name == contract.target) and column.type is not Type.DATETIME
        }
        self._edges: dict[str, np.ndarray[Any, Any]] = {}
        self.counts: dict[str, dict[str, Counter[str]]] = {name: {} for name in self._columns}

    def add(self, period: str, frame: pd.DataFrame) -> None:
        """Count the rows of one period."""
        for name, column in self._columns.items():
            if name in frame:
                self.counts[name][period] = self._count(name, column, frame[name])

    def numeric(self, name: str) -> bool:
        """Say whether a column was counted in bins."""
        return name in self._edges

    def edges(self, name: str) -> np.ndarray[Any, Any]:
        """Return the upper ends of a number's bins but for the last, which has none; `(n_bins - 1,)`."""
        return self._edges[name]

    def _count(self, name: str, column: Column, series: pd.Series[Any]) -> Counter[str]:
        missing = Counter({MISSING: int(series.isna().sum())})
        known = series.dropna()
        if column.type in {Type.STRING, Type.BOOLEAN}:
            found = known.astype(str).value_counts()
            return missing + Counter({str(value): int(n) for value, n in found.head(_MAX_VALUES).items()})
        try:
            values = known.to_numpy(dtype="float64")
        except (ValueError, TypeError):  # a retyped column: the contract check has said so
            return missing
        if name not in self._edges and len(values):
            self._edges[name] = _grid(values[np.isfinite(values)])
        bins = np.searchsorted(self._edges.get(name, np.empty(0)), values, side="left")
        return missing + Counter({f"{code:03d}": int(n) for code, n in enumerate(np.bincount(bins)) if n})


def _grid(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.linspace(0, 1, GRID + 1)[1:-1], method="inverted_cdf"))


def psi(reference: Counts, current: Counts, *, numeric: bool) -> tuple[float, int]:
    """
    Return the population stability index Σ (q−p)·ln(q/p) and the number of bins.

    Bins of numbers are merged to about ten of equal reference mass, rare categories into one. Half a row is added to
    each bin, so that an empty one neither divides by zero nor hides a change.
    """
    groups = _merged(reference, current, numeric=numeric)
    p = np.array([a for a, _ in groups]) + 0.5
    q = np.array([b for _, b in groups]) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p))), len(groups)


def noise_floor(n_reference: int, n_current: int, n_bins: int) -> float:
    """
    Return the PSI that chance alone exceeds once in a thousand: PSI·nm/(n+m) is asymptotically χ² with bins−1 degrees
    (Yurdakul & Naranjo 2020, "Statistical properties of the population stability index").
    """
    return _chi_square(max(n_bins - 1, 1)) * (1 / max(n_reference, 1) + 1 / max(n_current, 1))


@cache
def _chi_square(degrees: int) -> float:
    """Return what χ² exceeds once in a thousand, by halving: SciPy, which knows it too, takes 0.25 s to load."""
    low, high = 0.0, 40.0 + 3.0 * degrees
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _exceeded(middle, degrees) > _CONFIDENCE else (low, middle)
    return high


def _exceeded(value: float, degrees: int) -> float:
    """Return the chance that χ² exceeds `value`: of one degree or two in closed form, and two more add a term each."""
    half, odd = value / 2, degrees % 2
    chance = math.erfc(math.sqrt(half)) if odd else 0.0
    terms = (place + odd / 2 for place in range(degrees // 2))
    return chance + math.fsum(math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in terms)


def find(counts: Mapping[str, Counts], name: str, settings: Drift, *, numeric: bool) -> Finding | None:
    """Judge the newest period of one column; None if it is the first."""
    periods = list(counts)
    if len(periods) < 2:
        return None
    values = [_against_trailing(counts, periods, i, settings, numeric=numeric) for i in range(1, len(periods))]
    (value, floor), past = values[-1], [psi_value for psi_value, _ in values[:-1]]
    usual = _usual(past, settings.mad) if past else None
    season = _season(counts, periods, numeric=numeric)
    limit = max(settings.psi, floor, usual or 0.0)
    current, before = counts[periods[-1]], _total(counts, periods[:-1])
    new = [] if numeric else sorted(set(current) - set(before) - {MISSING})
    return Finding(
        name=name,
        psi=value,
        limit=limit,
        floor=floor,
        past=usual,
        season_psi=season[0] if season else None,
        new=new,
        gone=[] if numeric else _gone(_total(counts, periods[-1 - settings.reference_periods : -1]), current),
        new_share=sum(current[value] for value in new) / max(sum(current.values()), 1),
        history=len(past),
        drifted=value > limit and (season is None or season[0] > max(settings.psi, season[1])),
    )


def _usual(past: Sequence[float], deviations: float) -> float:
    """Return the median of the past plus robust deviations: 1.4826·MAD is σ where the past is normal."""
    median = float(np.median(past))
    return median + deviations * 1.4826 * float(np.median(np.abs(np.array(past) - median)))


def _against_trailing(
    counts: Mapping[str, Counts], periods: Sequence[str], i: int, settings: Drift, *, numeric: bool
) -> tuple[float, float]:
    reference = _total(counts, periods[max(0, i - settings.reference_periods) : i])
    current = counts[periods[i]]
    value, bins = psi(reference, current, numeric=numeric)
    return value, noise_floor(sum(reference.values()), sum(current.values()), bins)


def _season(counts: Mapping[str, Counts], periods: Sequence[str], *, numeric: bool) -> tuple[float, float] | None:
    """Compare with the same part of the latest earlier year, if the periods have one."""
    newest = periods[-1]
    same = [name for name in periods[:-1] if len(newest) > 4 and name[4:] == newest[4:] and name[:4] != newest[:4]]
    if not same:
        return None
    value, bins = psi(counts[same[-1]], counts[newest], numeric=numeric)
    return value, noise_floor(sum(counts[same[-1]].values()), sum(counts[newest].values()), bins)


def _total(counts: Mapping[str, Counts], periods: Sequence[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for period in periods:
        total.update(counts[period])
    return total


def _gone(reference: Counts, current: Counts) -> list[str]:
    """List values that are absent though, at their former share, twenty or more were expected."""
    n_before, n_now = sum(reference.values()), sum(current.values())
    return sorted(v for v, n in reference.items() if v != MISSING and not current.get(v) and n / n_before * n_now >= 20)


def _merged(reference: Counts, current: Counts, *, numeric: bool) -> list[tuple[int, int]]:
    missing = (reference.get(MISSING, 0), current.get(MISSING, 0))
    names = sorted((set(reference) | set(current)) - {MISSING})
    pairs = [(reference.get(name, 0), current.get(name, 0)) for name in names]
    merged = _equal_mass(pairs) if numeric else _with_other(pairs)
    return [*merged, missing] if any(missing) else merged


def _equal_mass(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    target = sum(a for a, _ in pairs) / BINS
    merged, mass, other = [], 0, 0
    for a, b in pairs:
        mass, other = mass + a, other + b
        if mass >= target:
            merged.append((mass, other))
            mass, other = 0, 0
    return [*merged, (mass, other)] if mass or other else merged


def _with_other(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put categories with less than half a percent on both sides into one."""
    n_a, n_b = (max(sum(pair[side] for pair in pairs), 1) for side in (0, 1))
    common = [(a, b) for a, b in pairs if a / n_a >= 0.005 or b / n_b >= 0.005]
    rest = [(a, b) for a, b in pairs if not (a / n_a >= 0.005 or b / n_b >= 0.005)]
    return [*common, (sum(a for a, _ in rest), sum(b for _, b in rest))] if rest else common
