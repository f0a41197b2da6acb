"""Recognising moments: in ISO 8601, in what spreadsheets write, and in integers."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ci.contract import Column, Role, Type
from ci.data import rows
from ci.scaffold.fixes import Fix

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOSTLY = 0.95
_SAMPLE = 500
_YEARS = (1850, 2200)
_ISO = re.compile(r"\s*\d{4}[-/]\d{1,2}([-/]\d{1,2}([T ].*)?)?\s*")
_SORTS = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?")  # an offset would not
_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y",
         "%B %d, %Y", "%b %d %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%Y%m%d")  # fmt: skip
_HOURS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S", "T%H:%M:%S")
_NAMED = re.compile(r"time|date|stamp|epoch|created|updated|(^|_)(at|ts)$", re.IGNORECASE)
_EPOCHS: dict[Literal["s", "ms"], tuple[float, float]] = {"s": (300e6, 4.2e9), "ms": (300e9, 4.2e12)}


@dataclass(frozen=True, slots=True)
class Moments:
    """A column as naive moments (`read`); `fix` if `ingest` needs help, `sortable` if its text sorts like time."""

    read: pd.Series[Any]
    how: str
    fix: Fix | None = None
    sortable: bool = False
    doubt: str = ""


def moments(name: str, series: pd.Series[Any], kind: str) -> Moments | None:
    """Read a delivered column of `kind` (text, integer, number) as moments; None if it does not hold any."""
    if kind == "text":
        return _text(series)
    if kind == "integer":
        return _compact(series) or _epoch(name, series)
    if rows.type_of(series) == Type.DATETIME:
        return Moments(series, "a timestamp")
    return None


def _text(series: pd.Series[Any]) -> Moments | None:
    known = series.dropna()
    sample = known.sample(min(_SAMPLE, len(known)), random_state=0).astype(str)
    if sample.empty or sample.str.contains(r"\d").mean() < _MOSTLY or sample.str.len().median() > 40:
        return None
    if sample.map(lambda text: _ISO.fullmatch(text) is not None).mean() >= _MOSTLY:
        return _iso(series)
    formats = [day + hour for day, hour in itertools.product(_DAYS, _HOURS)]
    few = sample.head(20)  # most formats die here
    fitting = [form for form in formats if _share(few, form) >= 0.8 and _share(sample, form) >= _MOSTLY]
    if not fitting:
        return None
    form, doubt = _chosen(series, fitting)
    values = pd.to_datetime(series, format=form, errors="coerce").dt.as_unit("us")
    return _believed(series, values, f"dates as {form}", f'pd.to_datetime({{}}, format="{form}"', doubt=doubt)


def _iso(series: pd.Series[Any]) -> Moments | None:
    values = rows.cast(series, Column(type=Type.DATETIME, role=Role.META))  # what ingest will do
    if rows.type_of(values) != Type.DATETIME:
        values = (
            pd.to_datetime(series, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None).dt.as_unit("us")
        )
    sortable = all(_SORTS.fullmatch(str(text)) for text in series.dropna().drop_duplicates())
    return _believed(
        series, values, "ISO 8601", 'pd.to_datetime({}, format="ISO8601", utc=True', plain=True, sortable=sortable
    )


def _believed(
    series: pd.Series[Any],
    values: pd.Series[Any],
    how: str,
    code: str,
    *,
    plain: bool = False,
    sortable: bool = False,
    doubt: str = "",
) -> Moments | None:
    """Accept a reading if most of it is dates of this age; ISO 8601 without a fault needs no fix."""
    known = values.dropna()
    if len(known) < _MOSTLY * series.notna().sum() or known.dt.year.between(*_YEARS).mean() < _MOSTLY:
        return None
    spoilt = series[values.isna() & series.notna()]
    if plain and spoilt.empty:
        return Moments(values, how, sortable=sortable)
    strangers = [str(value) for value in spoilt.drop_duplicates().head(3)]
    fix = Fix(code + (', errors="coerce")' if strangers else ")"), values, len(spoilt), strangers)
    return Moments(values, how, fix, doubt=doubt)


def _share(sample: pd.Series[Any], form: str) -> float:
    return float(pd.to_datetime(sample, format=form, errors="coerce").notna().mean())


def _chosen(series: pd.Series[Any], fitting: Sequence[str]) -> tuple[str, str]:
    """Of several readings (3/4 is April the third, or March the fourth) take the one in order, or the longer one."""
    if len(fitting) == 1:
        return fitting[0], ""
    read = {form: pd.to_datetime(series, format=form, errors="coerce") for form in fitting}
    best = max(
        fitting, key=lambda form: (read[form].notna().sum(), _in_order(read[form]), read[form].max() - read[form].min())
    )
    rivals = [form for form in fitting if form != best and read[form].notna().sum() == read[best].notna().sum()]
    return best, f"it could also be {rivals[0]}: look at source.py" if rivals else ""


def _in_order(values: pd.Series[Any]) -> bool:
    known = values.dropna()
    return bool(known.is_monotonic_increasing or known.is_monotonic_decreasing)


def _compact(series: pd.Series[Any]) -> Moments | None:
    """Read 20240131 as a date, if each value is one."""
    known = series.dropna()
    if known.empty or known.min() < 19_000_101 or known.max() > 22_001_231 or known.nunique() < 2:
        return None
    values = pd.to_datetime(series.astype("Int64").astype("string"), format="%Y%m%d", errors="coerce")
    if values.isna().sum() > series.isna().sum():
        return None
    code = 'pd.to_datetime({}.astype("Int64").astype("string"), format="%Y%m%d")'
    return Moments(values.dt.as_unit("us"), "dates as 20240131", Fix(code, values))


def _epoch(name: str, series: pd.Series[Any]) -> Moments | None:
    """Read seconds or milliseconds since 1970, if the name speaks of time."""
    known = series.dropna()
    if known.empty or not _NAMED.search(name):
        return None
    for unit, (low, high) in _EPOCHS.items():
        if known.between(low, high).all():
            values = pd.to_datetime(series, unit=unit).dt.as_unit("us")
            long = {"s": "seconds", "ms": "milliseconds"}[unit]
            return Moments(values, f"{long} since 1970", Fix(f'pd.to_datetime({{}}, unit="{unit}")', values))
    return None
