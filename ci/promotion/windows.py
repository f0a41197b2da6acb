"""When a release may enter an environment: freezes and release windows, each in its own time zone."""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ci.errors import BadInput
from ci.report import Check, Found

if TYPE_CHECKING:
    from datetime import datetime

    from ci.params_environments import Environment, Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def windows(environment: Environment, now: datetime) -> list[Check]:
    """
    Hold a moment against an environment's freezes and windows.

    Raises:
        BadInput: an unknown zone, an hour or a date that is none.
    """
    frozen = next((item for item in environment.freeze if holds(item, now, environment.name)), None)
    if frozen:
        why = f": {frozen.why}" if frozen.why else ""
        freeze = Check("freeze", Found.REJECTED, f"{environment.name} is frozen ({_said(frozen)}){why}")
    else:
        freeze = Check("freeze", Found.PASSED, "no freeze holds now")
    if not environment.windows:
        return [freeze, Check("window", Found.PASSED, "open at all times")]
    opened = next((item for item in environment.windows if holds(item, now, environment.name)), None)
    if opened:
        return [freeze, Check("window", Found.PASSED, f"open ({_said(opened)})")]
    known = "; ".join(_said(item) for item in environment.windows)
    return [freeze, Check("window", Found.REJECTED, f"{environment.name} takes releases only within {known}")]


def holds(window: Window, now: datetime, where: str) -> bool:
    """
    Whether a moment lies in a window; hours that run over midnight belong to the day on which they begin.

    Raises:
        BadInput: the window cannot be read.
    """
    here = now.astimezone(_zone(window.zone, where))
    day, clock = here.date(), here.time().replace(tzinfo=None)
    if window.hours:
        begin, end = (_hour(text, where) for text in window.hours)
        if begin <= end and not begin <= clock < end:
            return False
        if begin > end:
            if end <= clock < begin:
                return False
            day = date.fromordinal(day.toordinal() - 1) if clock < end else day
    if window.days and _DAYS[day.weekday()] not in window.days:
        return False
    if window.dates:
        first, last = (_day(text, where) for text in window.dates)
        return first <= day <= last
    return True


def _zone(name: str, where: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(f"environments: {where}: {name!r} is no IANA time zone", hint="such as Europe/Berlin") from error


def _hour(text: str, where: str) -> time:
    try:
        return time.max if text == "24:00" else time.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise BadInput(f"environments: {where}: {text!r} is no hour such as 09:00") from error


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"environments: {where}: {text!r} is no date such as 2026-12-20") from error


def _said(window: Window) -> str:
    parts = [
        ", ".join(window.days),
        " to ".join(window.hours or ()),
        " to ".join(window.dates or ()),
        window.zone,
    ]
    return " ".join(part for part in parts if part)
