"""
End a rollout: all traffic back to the live release.

Reads   `environments` in params.yaml, what runs there
Writes  the environment (traffic), reports/<project>/abort.json
Exits   0 nothing to abort, 2 bad input, 5 unavailable, 6 rolled back, 7 not restored
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
    """End whatever rollout there is, at work, held or left behind; 6 says that the live release has all traffic again."""
    from ci.adapters import environments, people
    from ci.rollout.telling import told
    from ci.shared import shared

    running = environments.named(run.project.name, env, shared(), run.say)
    moved = running.abort(people.actor(actor))
    return told(moved, running.actual())


if __name__ == "__main__":
    main()
