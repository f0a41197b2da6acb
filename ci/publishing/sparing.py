"""
Sparing the collection service: rows that are published need not lie there as well.

It is asked to remove a period only if a policy says so, the period is old enough and settled, and what lies here, which
was just published, reads exactly as what the service has. The service holds the digest against its rows once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ci.data.ingest import matching
from ci.errors import StepError
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date
    from pathlib import Path

    from ci.data.held import Held
    from ci.data.ingest import TableReader
    from ci.project import Project
    from ci.sources import AnyTable

NAME = "kept by the service"


def spare(
    project: Project, open_table: Callable[[AnyTable], TableReader], listed: Callable[[], Sequence[Held]],
    remove: Callable[[Held], None], folder: Path,
) -> list[Check]:  # fmt: skip
    """
    Let the service remove what was published and is old enough; nothing to say if no policy asks for it.

    `listed` must be the very listing that `open_table`'s reader goes by. What goes wrong is a warning: the data version
    is published all the same, and the next publication tries again.
    """
    taken_over = project.params.source.collector
    if taken_over is None or taken_over.keep_days is None:
        return []
    gone: list[str] = []
    try:
        here = {period.name for period in matching(project, open_table, folder)}
        for held in due(listed(), here, project.params.as_of, taken_over.keep_days):
            remove(held)
            gone.append(held.period)
    except StepError as error:
        return [Check(NAME, Found.WARNED, f"{_told(gone, taken_over.keep_days)}; then: {error}")]
    return [Check(NAME, Found.PASSED, _told(gone, taken_over.keep_days))]


def due(listed: Sequence[Held], here: set[str], as_of: date, keep_days: int) -> list[Held]:
    """Choose the periods that lie here, are settled, and ended `keep_days` before `as_of`."""
    last = datetime.combine(as_of, datetime.min.time()) - timedelta(days=keep_days)
    return [
        held for held in listed
        if held.period in here and held.settled and not held.removed and datetime.fromisoformat(held.end) <= last
    ]  # fmt: skip


def _told(gone: Sequence[str], keep_days: int) -> str:
    what = f"rows of {', '.join(gone)} are published, and no longer kept there" if gone else "nothing to remove"
    return f"{what} (source.collector.keep_days: {keep_days})"
