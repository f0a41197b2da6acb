"""When the newest row happened that a model has learned from, as its bundle's `lineage.json` says."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

NAME = "lineage.json"


class Data(msgspec.Struct, frozen=True):
    """The data, as far as anything is read of it here."""

    watermark: str | None = None


class Lineage(msgspec.Struct, frozen=True):
    """`lineage.json`."""

    data: Data = Data()


def watermark(raw: bytes | None) -> float | None:
    """Read it in seconds since 1970; a lineage that does not say so keeps no model from answering."""
    if raw is None:
        return None
    try:
        text = msgspec.json.decode(raw, type=Lineage).data.watermark
        found = datetime.fromisoformat(text) if text else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() if found else None
