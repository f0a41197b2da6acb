"""Moments: ISO 8601 texts and epoch seconds to what the graph takes, seconds of the wall clock since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # years 1 to 9999
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 # the wall clock is what the contract counts
# Without seconds, or without a time at all: ISO 8601, though not RFC 3339.
_SHORT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)


def seconds(moment: datetime) -> int:
    """Whole seconds since 1970-01-01T00:00; a moment with an offset is brought to UTC first."""
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:  # year 1 with an eastern offset lies in year 0
            return EARLIEST - 1
    since = moment - _EPOCH
    return since.days * 86_400 + since.seconds  # the floor, at half the cost of a division


def parse_all(texts: list[object]) -> list[int] | None:
    """Read a whole column at once; None when it must be read text by text."""
    try:
        return [seconds(moment) for moment in msgspec.convert(texts, list[datetime])]
    except msgspec.ValidationError:
        return None


def parse(text: str) -> int | None:
    """Read an ISO 8601 date or date and time; None when it is not one."""
    short = _SHORT.fullmatch(text)
    if short:
        day, clock, offset = short.groups()
        text = f"{day}T{clock or '00:00'}:00{offset or ''}"
    try:
        return seconds(msgspec.convert(text, datetime))
    except msgspec.ValidationError:
        return None
