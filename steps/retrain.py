"""
Learn a model anew when a release fell in quality, the world moved or new data came; once for each of them.

Reads   what steps.watch remembers (or --windows), data/<project>/check.json, the release ledger, the source, `retraining`
        in params.yaml, `retrain` in the project's params
Writes  the cases beside the environment's state, reports/<project>/retrain.json; as_of and a release, without Jenkins
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--env", metavar="ENVIRONMENT", help="Whose live release may have a fault.  [default: the last]")
@click.option("--as-of", metavar="DATE", help="Learn from rows before this date.  [default: today, UTC; data: its own]")
@click.option("--because", type=click.Choice(["quality", "drift", "data"]),
              help="Open an incident by hand, which needs a reason; data: ask the project's policy.")  # fmt: skip
@click.option("--reason", default="", show_default=False, help="Why; the job is told.")
@click.option("--request", metavar="ID", help="With --here: by which whoever started this job finds it again.")
@click.option(
    "--windows", type=click.Path(path_type=Path), metavar="FILE", help="Windows of another monitoring (JSON)."
)
@click.option("--close", is_flag=True, help="Close the open incident by hand; start nothing.")
@click.option("--here", is_flag=True, help="Be the job: learn in this checkout, as of --as-of; no guard is asked.")
@click.option("--wait/--no-wait", default=True, help="Follow it to its end, or only see that it was taken.")
@click.option("--dry-run", is_flag=True, help="Say what would be started; start and remember nothing.")
def main(run: cli.Run, **options: Any) -> Result:
    """Start a retraining if there is a reason and nothing holds it back; 4 if there is one, and something does."""
    from ci.adapters import notifying, retraining
    from ci.shared import shared

    project, common = run.project, shared()
    wanted = retraining.Options(**options)
    if wanted.here:
        return retraining.run_here(project, wanted, run.say)
    result = retraining.retrained(project, wanted, common, run.say)
    about = notifying.About("retraining", project.name, wanted.env or common.environments[-1].name)
    return notifying.told(result, about, common, quiet=wanted.dry_run or "started" not in result.data)


if __name__ == "__main__":
    main()
