"""
Stop everything that was started in an environment.

Reads   `environments` in params.yaml, what runs there
Writes  the environment (nothing is live there), reports/<project>/stop.json
Exits   0 passed, 2 bad input, 5 unavailable
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
    """Stop router and servers of one project in one environment, and nothing else."""
    from ci.adapters import environments, people
    from ci.rollout.telling import told
    from ci.shared import shared

    running = environments.named(run.project.name, env, shared(), run.say)
    moved = running.stop(people.actor(actor))
    return told(moved, running.actual())


if __name__ == "__main__":
    main()
