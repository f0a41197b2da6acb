"""Moments as whole microseconds of the wall clock since 1970, and the periods that they lie in."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import msgspec

ALL = "all"  # the one period of a contract without event time
DAY_US = 86_400_000_000
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 to 9999
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 # the wall clock is what the contract counts
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = date(1970, 1, 1)
# Without seconds, or without a time at all: ISO 8601, though not RFC 3339.
_SHORT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)


def microseconds(moment: datetime) -> int:
    """Spell a moment; one with an offset is brought to UTC first."""
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:  # year 1 with an eastern offset lies in year 0
            return EARLIEST - 1
    return (moment - _EPOCH) // _MICROSECOND


def parse(value: str) -> int | None:
    """Read an ISO 8601 date or date and time; None when it is not one."""
    short = _SHORT.fullmatch(value)
    if short:
        day, clock, offset = short.groups()
        value = f"{day}T{clock or '00:00'}:00{offset or ''}"
    try:
        found = microseconds(msgspec.convert(value, datetime))
    except msgspec.ValidationError:
        return None
    return found if EARLIEST <= found <= LATEST else None


def iso(moment: int | None) -> str | None:
    """Spell microseconds as ISO 8601, without an offset."""
    return None if moment is None else (_EPOCH + timedelta(microseconds=moment)).isoformat()


def now() -> int:
    """Return this moment by the system's clock, in UTC."""
    return microseconds(datetime.now(UTC))


def period_of(day: int, length: str) -> str:
    """Name the period of a day since 1970: 2013, 2013-07, 2013-W27 or 2013-07-01."""
    found = _EPOCH_DAY + timedelta(days=day)
    if length == "week":
        year, week, _ = found.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return found.isoformat()[: {"year": 4, "month": 7, "day": 10}[length]]


def bounds(period: str) -> tuple[int, int] | None:
    """Return the half-open stretch of a period; None where the name is no period's."""
    try:
        start, end = _days(period)
    except (ValueError, OverflowError):
        return None
    return (start - _EPOCH_DAY).days * DAY_US, (end - _EPOCH_DAY).days * DAY_US


def _days(period: str) -> tuple[date, date]:
    if re.fullmatch(r"\d{4}-W\d\d", period, re.ASCII):
        start = date.fromisocalendar(int(period[:4]), int(period[6:]), 1)
        return start, start + timedelta(days=7)
    if re.fullmatch(r"\d{4}", period, re.ASCII):
        return date(int(period), 1, 1), date(int(period) + 1, 1, 1)
    if re.fullmatch(r"\d{4}-\d\d", period, re.ASCII):
        start = date(int(period[:4]), int(period[5:]), 1)
        return start, (start + timedelta(days=32)).replace(day=1)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", period, re.ASCII):
        start = date.fromisoformat(period)
        return start, start + timedelta(days=1)
    raise ValueError(period)
