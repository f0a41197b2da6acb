"""
List the data versions that were published: what they hold, how old they are, who learned from them, how to get one.

Reads   the ledgers of data and of releases
Writes  reports/all/datasets.json
Exits   0 passed (also if there are none), 2 bad input, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
@cli.PROJECTS
@click.option("--offline", is_flag=True, help="Do with what this clone knows; ask no remote.")
def main(run: cli.Run, projects: tuple[str, ...], offline: bool) -> Result:
    """Show data versions with period, rows, age, verdict, consumers and the commands that get one."""
    from ci.adapters.publishing import listed
    from ci.publishing.listing import in_terminal
    from ci.shared import shared

    result = listed(projects, shared(), offline=offline)
    run.say(in_terminal(result))
    return result


if __name__ == "__main__":
    main()
