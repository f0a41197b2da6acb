"""Features of a flight, derived inside the model graph: callers send raw rows."""

from __future__ import annotations

from typing import Any

DAY_S = 86_400


def features(rows: dict[str, Any]) -> dict[str, Any]:
    """Derive time of day, weekday and age of the plane; becomes part of the model graph."""
    moment = rows.pop("scheduled_departure")
    rows["minute_of_day"] = moment % DAY_S // 60
    rows["weekday"] = (moment // DAY_S + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    rows["plane_age"] = 1970 + moment / (365.2425 * DAY_S) - rows.pop("plane_year")
    return rows
