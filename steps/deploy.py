"""
Bring a release into an environment, under a strategy: one of the ledger with all checks of a promotion, others to try.

Reads   the release ledger (or --record, --bundle), `environments` and `registry` in params.yaml, what runs there
Writes  the environment (traffic), one event in the ledger (not with --record, --bundle), reports/<project>/deploy.json
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable, 6 rolled back, 7 not restored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from pathlib import Path

    from ci.report import Result

KINDS = click.Choice(["rolling", "blue_green", "canary", "ab", "shadow"])


@cli.step(alone=True)
@click.option("--env", required=True, metavar="ENVIRONMENT", help="Where to.")
@click.option("--release", metavar="VERSION", help="Which release, such as v1.4.0.")
@click.option("--record", type=cli.INPUT, metavar="FILE", help="Its record, instead of the ledger.")
@click.option("--bundle", type=cli.INPUT, multiple=True, metavar="FOLDER", help="Its bundle, instead of the registry.")
@click.option("--strategy", type=KINDS, help="How traffic moves.  [default: the environment's]")
@click.option(
    "--by", type=click.Choice(["health", "statistics"]), help="Who judges a trial.  [default: the environment's]"
)
@click.option("--actor", metavar="PERSON", help="Who asks.  [default: Jenkins's user, or Git's]")
@click.option("--reason", default="", show_default=False, help="Why; the ledger remembers it.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
def main(
    run: cli.Run, env: str, release: str | None, record: Path | None, bundle: tuple[Path, ...],
    strategy: str | None, by: str | None, actor: str | None, reason: str, dry_run: bool,
) -> Result:  # fmt: skip
    """Start the release, move traffic to it stage by stage, ask verification at each; back if it is worse."""
    from ci.adapters.deploying import Order, deploy
    from ci.shared import shared

    order = Order(env, release, record, bundle, strategy, by, actor, reason, dry_run)
    return deploy(run.project.name, order, shared(), run.say)


if __name__ == "__main__":
    main()
