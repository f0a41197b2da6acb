"""Stretches of time as people write them: `2013-07`, `2013-07..2013-12`, `2013..2013-W30`, `2013-07-01..2013-08-02`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ci.data.periods import following
from ci.errors import BadInput

_WEEK = re.compile(r"(\d{4})-W(\d\d)")
_OTHER = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days of event time `[start, end)`."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Name the first and the last day."""
        return f"{self.start.date()}..{(self.end - timedelta(days=1)).date()}"


def span(text: str) -> Span:
    """
    Read `FIRST..LAST`, both included, or one period alone; each is a year, month, week or day.

    Raises:
        BadInput: it is none, or runs backwards.
    """
    first, dots, last = text.strip().partition("..")
    start, end = _first_day(first, text), following(_first_day(last or first, text), last or first)
    if (dots and not last) or end <= start:
        raise BadInput(f"--periods: {text[:80]!r} runs backwards" if last else f"--periods: {text[:80]!r} has no end",
                       hint="write FIRST..LAST, such as 2013-07..2013-12")  # fmt: skip
    return Span(datetime.combine(start, datetime.min.time()), datetime.combine(end, datetime.min.time()))


def _first_day(name: str, text: str) -> date:
    try:
        if found := _WEEK.fullmatch(name):
            return date.fromisocalendar(int(found[1]), int(found[2]), 1)
        if _OTHER.fullmatch(name):
            return date.fromisoformat((name + "-01-01")[:10])
    except ValueError:
        pass
    raise BadInput(f"--periods: {text[:80]!r}: {name[:40]!r} is no year, month, week or day",
                   hint="such as 2013-07..2013-12, 2013-W30 or 2013-07-01..2013-08-02")  # fmt: skip
