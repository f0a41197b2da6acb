"""What the footer of a Parquet file says of a column, so that files outside of a window are not opened again and again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.dataset as ds

Bounds = tuple[Any, Any]


def bounds_of(dataset: ds.Dataset, column: str) -> Bounds | None:
    """Return the smallest and the largest value; None if the footer does not say."""
    found = [group.statistics.get(column) for part in dataset.get_fragments() for group in part.row_groups]
    if not found or any(item is None or item.get("min") is None or item.get("max") is None for item in found):
        return None
    return min(item["min"] for item in found), max(item["max"] for item in found)


def may_overlap(bounds: Bounds | None, start: datetime, end: datetime) -> bool:
    """Say whether values within the bounds may lie in `[start, end)`; yes if nobody can tell."""
    if bounds is None:
        return True
    low, high = (_comparable(value) for value in bounds)
    if isinstance(low, str):
        return bool(high >= start.date().isoformat() and low < end.date().isoformat())
    if isinstance(low, datetime):
        return bool(high >= start and low < end)
    return not isinstance(low, date) or bool(high >= start.date() and low < end.date())


def _comparable(value: Any) -> Any:
    """Take the zone off a moment: windows are naive, and mean UTC where a column has a zone."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
