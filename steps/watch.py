"""
Look at the live release; take it back when enough looks agree that it is worse.

Reads   what runs, its monitoring, the release ledger, `watching` and `environments` in params.yaml
Writes  the watch's memory beside the environment's state, traffic and ledger on a rollback, reports/<project>/watch.json
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable, 6 rolled back, 7 not restored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--env", required=True, metavar="ENVIRONMENT", help="Where.")
@click.option("--actor", metavar="PERSON", help="In whose name.  [default: Jenkins's user, or Git's]")
@click.option("--dry-run", is_flag=True, help="Look and say what would follow; remember and move nothing.")
def main(run: cli.Run, env: str, actor: str | None, dry_run: bool) -> Result:
    """Look once at what is live, for a schedule; 6 if it was worse in k of n looks and the former release is back."""
    from ci.adapters import notifying, people, watching
    from ci.shared import shared

    project, common = run.project.name, shared()
    by = people.by(actor)
    result = watching.watched(project, env, common, by, dry_run=dry_run)
    return notifying.told(result, notifying.About("verdict", project, env, by.actor), common, quiet=dry_run)


if __name__ == "__main__":
    main()
