"""
Tell what was live when, who did it, why, and on what evidence.

Reads   the release ledger, `environments` in params.yaml
Writes  reports/<project>/history.json
Exits   0 passed, 2 bad input, 3 rejected (the ledger is not to be trusted), 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--at", metavar="MOMENT", help="What was live then, such as 2026-11-01T10:00Z.  [default: now]")
@click.option("--env", metavar="ENVIRONMENT", help="One environment.  [default: all]")
@click.option("--offline", is_flag=True, help="Do with what this clone knows; ask no remote.")
def main(run: cli.Run, at: str | None, env: str | None, offline: bool) -> Result:
    """Tell a project's history, or what was live at a moment."""
    from ci.adapters import floors
    from ci.promotion.moments import moment
    from ci.promotion.telling import lines, told
    from ci.shared import shared

    common = shared()
    history = floors.ledger(common).history(run.project.name, offline=offline)
    names = [item.name for item in common.environments]
    result = told(history, names, moment(at) if at else None, env)
    run.say(lines(result))
    return result


if __name__ == "__main__":
    main()
