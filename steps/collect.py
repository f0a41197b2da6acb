"""
Bring the raw data as far as the source reaches: move as_of, and read the periods that are new or restated.

Reads   `source` and `as_of` in the project's params, its contract, its source (files, SQL, HTTP, collection service)
Writes  data/<project>/raw/, then as_of in projects/<project>/params.yaml, reports/<project>/collect.json
Exits   0 passed, 2 bad input, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True, aside="dry_run")
@click.option("--as-of", metavar="DATE", help="Up to when.  [default: the end of the newest whole period]")
@click.option("--collector", is_flag=True, help="Let the collection service take over from the former as_of on.")
@click.option("--dry-run", is_flag=True, help="Say what would be read; change nothing.")
def main(run: cli.Run, as_of: str | None, collector: bool, dry_run: bool) -> Result:
    """Collect new and restated periods; nothing new is passed, too, and says so."""
    from ci.adapters.collecting import collected

    today = run.started.date()
    return collected(run.project, as_of, today, run.progress, collector=collector, dry_run=dry_run)


if __name__ == "__main__":
    main()
