"""How much better the answers of what was live are than another release's would have been, on the same flights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ci import stats


def labelled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers whose label is known."""
    return [row for row in rows if row["target"] is not None and row["predicted"] is not None]


def gain(rows: Sequence[dict[str, Any]], other: np.ndarray, metric: str = "brier") -> stats.Estimate:
    """
    Return by how much `metric` of labelled answers is better than that of `other` (n_rows,), with its 95 % interval.

    Above zero is better, whatever the metric. A day is one observation, as the gate has it: Cameron, Gelbach & Miller 2008.
    """
    days = np.unique([row["event_time"][:10] for row in rows], return_inverse=True)[1]
    target = np.array([int(bool(row["target"])) for row in rows])
    ours = np.array([float(row["predicted"]) for row in rows])
    return stats.difference(metric, target, ours, other, clusters=days)


def spelled(found: stats.Estimate) -> str:
    """Spell a gain with its interval."""
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] over {found.clusters} days"
