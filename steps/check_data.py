"""
Hold the data version to its contract, and say what drifted; or hold what is published to what was promised.

Reads   data/<project>/raw/, the project's contract, `check` in its params (--freshness-only: `freshness`, the ledger)
Writes  data/<project>/check.json (only if it passed), reports/<project>/check_data.json (check_data_freshness_only.json)
Exits   0 passed, 2 bad input, 3 rejected; with --freshness-only also 5, where the ledger does not answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True, aside="freshness_only")
@click.option("--freshness-only", is_flag=True, help="Only ask how old and whole the newest published version is.")
@click.option("--now", metavar="MOMENT", help="For --freshness-only: ask as if it were then.  [default: the clock]")
def main(run: cli.Run, freshness_only: bool, now: str | None) -> Result:
    """Check the data against its contract, its history and its schedule; exit 3 if nobody should train on it."""
    from ci.data.check import check

    project = run.project
    if freshness_only:
        return promised(run, now)
    return check(project, project.path("data", "raw"), project.path("data", "check.json"), run.progress)


def promised(run: cli.Run, now: str | None) -> Result:
    from ci.adapters.promises import freshness
    from ci.shared import shared

    return freshness(run.project, now, shared())


if __name__ == "__main__":
    main()
