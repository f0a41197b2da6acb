"""When the rows happened, and how that cuts them into deliveries and into rows to learn from and to judge by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from ci.contract import Role
from ci.errors import BadInput
from ci.scaffold.dates import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.scaffold.columns import Guess
    from ci.scaffold.reading import Sheet

_FEWEST_DAYS = 10
_NAMED = re.compile(r"time|date|stamp|when|day|datum|fecha|data|(^|_)(at|ts|on)$", re.IGNORECASE)
_OTHER = re.compile(
    r"birth|dob|born|geburt|naissance|expir|valid|until|due|end|closed|closing|deliver|renew|updated|modified",
    re.IGNORECASE,
)
_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Timing:
    """The event time's column, its first day, the day after its last, and the length of a delivery."""

    name: str
    start: date
    as_of: date
    period: str
    test_days: int
    days: int
    sortable: bool
    fewest_rows: int


def event_time(guesses: Sequence[Guess], today: date) -> tuple[str | None, str]:
    """Choose the column that says when a row happened; None with the reason if there is none."""
    dated = [guess for guess in guesses if guess.moments]
    if not dated:
        return None, "no column holds dates"
    able = [guess for guess in dated if not _hindrance(guess, today)]
    if not able:
        return None, "; ".join(f"{guess.name} {_hindrance(guess, today)}" for guess in dated)
    best = min(able, key=lambda guess: _NAMED.search(guess.name) is None)
    others = [guess.name for guess in able if guess is not best]
    return best.name, "when it happened" + (f" (or is it {', '.join(others)}?)" if others else "")


def _hindrance(guess: Guess, today: date) -> str:
    if guess.moments is None:
        return "holds no dates"
    values = guess.moments.read
    if values.isna().any():
        return f"is missing in {int(values.isna().sum()):,} rows"
    if _OTHER.search(guess.name):
        return "does not say when a row happened, by its name"
    if values.max().date() > today + timedelta(days=1):
        return f"reaches into the future, to {values.max().date()}"
    return f"has fewer than {_FEWEST_DAYS} days" if values.dt.normalize().nunique() < _FEWEST_DAYS else ""


def named(sheet: Sheet, guess: Guess | None, name: str) -> None:
    """
    Hold an event time that a person named to what `ingest` needs.

    Raises:
        BadInput: it holds no dates, or not in each row.
    """
    series = sheet.frame[name]
    found = guess.moments if guess else moments(name, series, sheet.kinds.get(name, "text"))
    known = series.dropna()
    if found is None:
        strange = known[pd.to_datetime(known.astype(str), format="mixed", errors="coerce", utc=True).isna()]
        strange = strange if len(strange) else known
        shown = f", such as {str(strange.iloc[0])[:40]!r}" if len(strange) else ""
        raise BadInput(
            f"--event-time: {name} cannot be read as dates{shown}", hint="ISO 8601 is best: 2024-01-31T12:00:00"
        )
    missing = int(found.read.isna().sum())
    if missing:
        bad = series[found.read.isna() & series.notna()]
        shown = f", such as {str(bad.iloc[0])[:40]!r}" if len(bad) else ""
        hint = "leave --event-time away, or drop such rows in source.py's assemble"
        raise BadInput(
            f"--event-time: {name} is missing or unreadable in {missing:,} of {len(series):,} rows{shown}", hint=hint
        )


def timing(guess: Guess) -> Timing:
    """Derive everything from the column of the event time."""
    if guess.moments is None:
        raise AssertionError(guess.name)
    values = guess.moments.read
    start, end = values.min().date(), values.max().date()
    span = (end - start).days + 1
    period = "year" if span > 3650 else "month" if span > 120 else "week" if span > 30 else "day"
    cut = values.sort_values().iloc[int(len(values) * (1 - _TEST_SHARE))].date()
    return Timing(
        name=guess.name,
        start=start,
        as_of=end + timedelta(days=1),
        period=period,
        test_days=min(3650, max(1, (end - cut).days)),
        days=int(values.dt.normalize().nunique()),
        sortable=guess.moments.sortable,
        fewest_rows=_fewest_rows(values, period),
    )


def _fewest_rows(values: pd.Series[pd.Timestamp], period: str) -> int:
    """Half of what a usual delivery has, at most a hundred."""
    letter = {"year": "Y", "month": "M", "week": "W", "day": "D"}[period]
    usual = float(values.dt.to_period(letter).value_counts().median())
    return max(1, min(100, int(usual / 2)))


def later(guess: Guess, event: Guess) -> Guess:
    """A moment that mostly lies after the event is known only afterwards."""
    if guess.moments is None or event.moments is None or guess.name == event.name:
        return guess
    after = (guess.moments.read > event.moments.read)[guess.moments.read.notna()]
    if len(after) and after.mean() > 0.5:
        return guess.as_role(Role.AFTER, f"mostly later than {event.name}: known only afterwards")
    return guess
