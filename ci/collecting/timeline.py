"""Rows and what becomes known of them, in the order in which the world would have told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from ci.collecting.spans import Span


@dataclass(frozen=True)
class Slice:
    """What happens in `[start, end)`: rows, and earlier ones of which more becomes known."""

    start: datetime
    end: datetime
    records: pd.DataFrame
    outcomes: pd.DataFrame


@dataclass(frozen=True)
class Stretch:
    """Rows of `[start, end)` in the order of time."""

    start: datetime
    end: datetime
    rows: pd.DataFrame


def slices(
    stretches: Iterable[Stretch], time: str, span: Span, horizon: timedelta, length: timedelta
) -> Iterator[Slice]:
    """
    Cut stretches, oldest first, into slices of a length; rows from before the span only have outcomes in it.

    Of the newest rows no outcome is told yet: the next span begins with those.
    """
    waiting: pd.DataFrame | None = None
    for stretch in stretches:
        start = stretch.start
        while start < stretch.end:
            end = min(start + length, stretch.end)
            moments = stretch.rows[time]
            low, high = moments.searchsorted(pd.Timestamp(start)), moments.searchsorted(pd.Timestamp(end))
            happened = stretch.rows.iloc[low:high]
            waiting = happened if waiting is None else pd.concat([waiting, happened])
            known = waiting[time] + horizon < pd.Timestamp(end)
            due, waiting = waiting[known], waiting[~known]
            if start >= span.start:
                yield Slice(start, end, happened, due)
            start = end
