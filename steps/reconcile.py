"""
Make an environment what it is meant to be: schedule this.

Reads   `environments` in params.yaml, what runs there, what the ledger has not been told
Writes  the environment (servers, traffic), the ledger, reports/<project>/reconcile.json
Exits   0 passed, 2 bad input, 5 unavailable, 6 rolled back, 7 not restored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--env", required=True, metavar="ENVIRONMENT", help="Where.")
@click.option("--actor", metavar="PERSON", help="Who asks.  [default: Jenkins's user, or Git's]")
def main(run: cli.Run, env: str, actor: str | None) -> Result:
    """Undo what a vanished runner left, start what died, stop what is cold; tell the ledger what waits for it."""
    from ci.adapters import environments, floors, people, wanted
    from ci.promotion.keeping import keep
    from ci.shared import shared

    project, common = run.project.name, shared()
    place = wanted.environment(env, common)
    running = environments.running(project, place, common, say=run.say)
    return keep(running, lambda: floors.settle(project, place, common, running.actual), people.actor(actor))


if __name__ == "__main__":
    main()
