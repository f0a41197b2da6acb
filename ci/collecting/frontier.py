"""How far a source reaches: up to which day its periods are whole, so that `as_of` may move there."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from ci.contract import Column, Role, Type
from ci.data.held import Settling
from ci.data.periods import following, name_of, periods
from ci.data.rows import cast, type_of
from ci.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.data.ingest import TableReader
    from ci.sources import AnyTable, Era, Source


def whole_until(
    source: Source, event_time: str | None, open_table: Callable[[AnyTable], TableReader], after: date, today: date
) -> date:
    """
    Return the end of the newest whole period, `after` if none is newer; never later than `today`.

    A collection service says itself what is settled. Of other sources, a period is whole once there are rows of its
    last day: whoever delivers files delivers whole days.

    Raises:
        BadInput: rows have no event time, so that nobody can say how far they reach.
        Unavailable: the source does not answer.
    """
    if event_time is None:
        raise BadInput("event_time: the contract has none: rows without one have no periods",
                       hint="name a date with --as-of")  # fmt: skip
    for era in reversed(source.in_force):
        if (era.end and era.end <= after) or (era.start and era.start >= today):
            continue
        reached = _reached(era, open_table, after, today)
        ends = [] if reached is None else [day for day in _ends(source, reached) if after < day <= today]
        if ends:
            return max(ends)
    return after


def begins_period(day: date, source: Source) -> bool:
    """Say whether a period begins on this day."""
    before = day - timedelta(days=1)
    return following(before, name_of(before, source.period)) == day


def _ends(source: Source, reached: date) -> list[date]:
    """List the ends of the periods that are whole when rows reach a day; an era may end within a period."""
    if all(era.start and era.start >= reached for era in source.in_force):
        return []
    found = periods(source, reached, timeless=False)
    return [p.end.date() for p in found if p.end and (p.closed or p.end.date() == p.era.end)]


def _reached(era: Era, open_table: Callable[[AnyTable], TableReader], after: date, today: date) -> date | None:
    """Return the day after the last one of which an era's source has rows; of a service, as far as it is settled."""
    table = next((table for table in era.tables.values() if table.timed), None)
    if table is None:
        raise BadInput(f"source.eras.{era.name}: no table has a `time` by which one could see how far it reaches",
                       hint="name a date with --as-of")  # fmt: skip
    start, end = max(after, era.start or after), min(today, era.end or today)
    if table.kind == "collector":
        reader = open_table(table)
        settled = reader.settled() if isinstance(reader, Settling) else None
        return min(settled.date(), end) if settled and settled.date() > start else None
    return _after_newest(table, open_table, start, end)


def _after_newest(
    table: AnyTable, open_table: Callable[[AnyTable], TableReader], start: date, end: date
) -> date | None:
    """Look at the time of rows alone, and at those alone that may be new."""
    import pandas as pd

    narrow = table.model_copy(update={"columns": [table.time]})
    frame = open_table(narrow).read(_midnight(start), _midnight(end))
    if frame.empty or table.time not in frame:
        return None
    moments = cast(frame[table.time], Column(type=Type.DATETIME, role=Role.META))
    if type_of(moments) != Type.DATETIME:
        raise BadInput(f"{table.time}: not readable as dates, such as {moments.iloc[0]!r}")
    newest = moments.max()
    return None if pd.isna(newest) else newest.date() + timedelta(days=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
