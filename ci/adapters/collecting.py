"""Puts together what collecting stands on: the sources, the collection service, today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import tables
from ci.adapters.collected import client_of
from ci.adapters.freshness import as_of as read_date
from ci.collecting.collect import Wish, World, collect
from ci.sources import CollectorTable

if TYPE_CHECKING:
    from datetime import date

    from ci.collecting.interface import Service
    from ci.progress import Progress
    from ci.project import Project
    from ci.report import Result


def collected(
    project: Project, as_of: str | None, today: date, progress: Progress, *, collector: bool, dry_run: bool
) -> Result:
    """
    Bring the project's raw data in this checkout as far as its source reaches.

    Raises:
        BadInput, Unavailable: as `ci.collecting.collect` says.
    """
    wish = Wish(read_date(as_of, today) if as_of else None, collector, dry_run)
    world = World(tables.opener_of(project), _service, today, progress)
    return collect(project, wish, world, project.path("data", "raw"))


def _service(project: Project) -> Service | None:
    """Return the door to the service that rows come from, if they come from one."""
    named = [table for era in project.params.source.in_force for table in era.tables.values()]
    table = next((table for table in named if isinstance(table, CollectorTable)), None)
    return client_of(project, table) if table else None
