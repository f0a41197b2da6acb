"""Moments as people write them."""

from __future__ import annotations

from datetime import datetime

from ci.errors import BadInput


def moment(text: str) -> datetime:
    """
    Read a moment with its zone.

    Raises:
        BadInput: it is none, or does not say its zone: nobody could tell which moment was meant.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(f"--at: {text[:60]!r} is no moment", hint="such as 2026-11-01T10:00Z") from error
    if found.tzinfo is None:
        raise BadInput(f"--at: {text[:60]} does not say its time zone", hint=f"such as {text.strip()[:60]}Z for UTC")
    return found
