"""
Say what runs, and whether it is what the ledger says.

Reads   the release ledger, `environments` in params.yaml, what runs in each environment
Writes  reports/all/status.json
Exits   0 passed, 2 bad input, 3 rejected (something else runs, or the ledger is not to be trusted), 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
@click.option("--only", metavar="PROJECT", help="One project, or collector.  [default: all]")
@click.option("--env", metavar="ENVIRONMENT", help="One environment.  [default: all]")
def main(run: cli.Run, only: str | None, env: str | None) -> Result:
    """Hold what should run against what runs, in every environment; touch nothing."""
    from ci.adapters import floors
    from ci.promotion.telling import lines, status
    from ci.shared import deployed, shared

    common = shared()
    projects = deployed(common, only)
    histories, unread = floors.histories(floors.ledger(common), projects)
    result = status(floors.places(common, projects, env), histories, unread)
    run.say(lines(result))
    return result


if __name__ == "__main__":
    main()
