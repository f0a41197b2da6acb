"""Cutting time into deliveries."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from ci.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.sources import Era, Source

ALL = "all"


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of event time `[start, end)`; both None for data without an event time."""

    name: str
    era: Era
    start: datetime | None
    end: datetime | None

    @property
    def closed(self) -> bool:
        """Say whether the period is whole: only the newest may be cut short by `as_of`."""
        return self.end is None or self.end == _midnight(following(self.end.date() - timedelta(days=1), self.name))


def periods(source: Source, as_of: date, *, timeless: bool) -> list[Period]:
    """
    List the periods that are known at `as_of`, oldest first; the last one ends at `as_of` at the latest.

    Raises:
        BadInput: an era has no start though rows have an event time, nothing is known yet, or two eras would share
            a period.
    """
    if timeless:
        if source.collector is not None:
            raise BadInput("source.collector: needs an `event_time` in the contract: the service keeps rows by it")
        if len(source.eras) > 1:
            raise BadInput("source.eras: more than one needs an `event_time` in the contract to tell them apart")
        return [Period(ALL, source.eras[0], None, None)]
    found = [period for era in source.in_force for period in _of_era(era, source.period, as_of)]
    if not found:
        raise BadInput(f"as_of {as_of}: no period has begun by then", hint="move as_of forward in the project's params")
    for earlier, later in itertools.pairwise(found):
        if earlier.name == later.name:
            raise BadInput(
                f"source.eras: {earlier.era.name} and {later.era.name} share the {source.period} {later.name}",
                hint="let the later one start where a period does, or choose a shorter `period`",
            )
    return found


def _of_era(era: Era, length: str, as_of: date) -> Iterator[Period]:
    if era.start is None:
        raise BadInput(f"source.eras.{era.name}.start: missing; rows with an event time need a first day")
    end = min(era.end, as_of) if era.end else as_of
    start = era.start
    while start < end:
        name = name_of(start, length)
        until = min(following(start, name), end)
        yield Period(name, era, _midnight(start), _midnight(until))
        start = until


def name_of(day: date, length: str) -> str:
    """Name the period of a day: 2013, 2013-07, 2013-W27 or 2013-07-01."""
    if length == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
    return day.isoformat()[: {"year": 4, "month": 7, "day": 10}[length]]


def following(day: date, name: str) -> date:
    """Return the first day after the period `name` that holds `day`."""
    if "W" in name:
        return day + timedelta(days=7 - day.weekday())
    if len(name) == 4:
        return date(day.year + 1, 1, 1)
    if len(name) == 7:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
