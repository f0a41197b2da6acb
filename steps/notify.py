"""
Tell others something, or deliver what could not be delivered before.

Reads   `notices` in params.yaml, the receiver's URL and the secret from the environment, the outbox
Writes  the outbox, reports/<project>/notify.json
Exits   0 passed, 2 bad input, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result

KINDS = click.Choice(["verdict", "promotion", "rollback", "retraining", "data"])


@cli.step()
@click.option("--env", default="production", metavar="ENVIRONMENT", help="What it is about.")
@click.option("--message", help="Say this.  [default: only deliver what waits]")
@click.option("--kind", type=KINDS, default="verdict", help="What kind of message it is.")
@click.option("--actor", metavar="PERSON", help="Who says so.  [default: Jenkins's user, or Git's]")
def main(run: cli.Run, env: str, message: str | None, kind: str, actor: str | None) -> Result:
    """Send a message to the webhook, or retry what waits in the outbox; 5 if something still waits."""
    from ci.adapters import notifying, people
    from ci.shared import shared

    project, common = run.project.name, shared()
    if message is None:
        return notifying.delivered(common)
    about = notifying.About(kind, project, env, people.actor(actor))  # type: ignore[arg-type]
    return notifying.said(message, about, common)


if __name__ == "__main__":
    main()
