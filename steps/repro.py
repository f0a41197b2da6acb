"""
Reproduce what changed, for one project or all, and keep the remote complete.

Reads   dvc.yaml, params.yaml, the DVC remote
Writes  what the stages write, dvc.lock, reports/all/repro.json
Exits   the failed stage's own code; 0 passed, 2 bad input (also: a forgotten push), 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
@cli.PROJECTS
@click.option("--only", type=click.Choice(["all", "data"]), default="all", help="`data` stops before training.")
@click.option("--pull/--no-pull", default=True, help="Take data and results from the remote instead of making them.")
@click.option("--push/--no-push", default=True, help="Push what was made.")
@click.option("--remote", metavar="NAME", help="DVC remote; its default if not given.")
@click.option("--force", is_flag=True, help="Run every stage, changed or not.")
@click.option("--dry-run", is_flag=True, help="Say what would run.")
@click.option("--locked", is_flag=True, help="Run nothing; fail if the remote lacks what dvc.lock names.")
def main(run: cli.Run, **options: Any) -> Result:
    """Run the stages whose inputs changed; pull before, push after; end with the failed stage's own verdict."""
    from ci import reproduce
    from ci.adapters import dvc, local
    from ci.shared import shared

    dvc.initialised()
    wanted = reproduce.Wanted(**options)
    command = dvc.DvcCommand(shared().remote, wanted.remote)
    with dvc.alone():
        return reproduce.reproduce(command, wanted, run.say, local.stale)


if __name__ == "__main__":
    main()
