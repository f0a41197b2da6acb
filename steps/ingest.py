"""
Read the source, one period at a time, into Parquet.

Reads   `source` and `as_of` in the project's params, its contract, its source
Writes  data/<project>/raw/, reports/<project>/ingest.json
Exits   0 passed, 2 bad input, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
def main(run: cli.Run) -> Result:
    """Read new periods from the source into data/<project>/raw/."""
    from ci.adapters import tables
    from ci.data.ingest import ingest

    project = run.project
    return ingest(project, tables.opener_of(project), project.path("data", "raw"), run.progress)


if __name__ == "__main__":
    main()
