"""The door to local sources: DVC cannot watch files that lie outside its stages' dependencies, so this does."""

from __future__ import annotations

from ci.errors import BadInput
from ci.project import find


def stale(name: str) -> bool:
    """
    Say whether files that a project reads from this machine say something else than what was ingested.

    False where nothing was ingested yet, and where the files are not here: whoever pulls results needs no sources.
    """
    project = find(name)
    tables_of = [table for era in project.params.source.in_force for table in era.tables.values()]
    raw = project.path("data", "raw")
    if not any(table.kind == "file" for table in tables_of) or not (raw / "manifest.json").is_file():
        return False
    from ci.adapters import tables
    from ci.data.ingest import outdated

    try:
        return outdated(project, tables.opener_of(project), raw)
    except BadInput:  # ingest says it better, if it has to run
        return False
