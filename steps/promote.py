"""
Move a release into the next environment.

Reads   the release ledger, `environments`, `registry` and `signing` in params.yaml, what runs in the environment
Writes  the environment (traffic), one event in the ledger, a notice, reports/<project>/promote.json
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable, 6 rolled back, 7 not restored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result

KINDS = click.Choice(["rolling", "blue_green", "canary", "ab", "shadow"])


@cli.step(alone=True)
@click.option("--release", metavar="VERSION|packaged", help="Such as v1.4.0.  [default: what is live below]")
@click.option("--to", "target", required=True, metavar="ENVIRONMENT", help="Where to.")
@click.option("--from", "origin", metavar="ENVIRONMENT", help="Where it is live now.  [default: the one below]")
@click.option("--reason", default="", show_default=False, help="Why; the ledger remembers it.")
@click.option("--approver", metavar="PERSON", help="Who else agreed.  [default: whoever did with steps.approve]")
@click.option("--actor", metavar="PERSON", help="Who asks.  [default: Jenkins's user, or Git's]")
@click.option("--strategy", type=KINDS, help="How traffic moves.  [default: the environment's]")
@click.option("--dry-run", is_flag=True, help="Print the plan and every check; move nothing.")
@click.option("--force", is_flag=True, help="Take a release that was forced through the gate; needs a reason.")
def main(
    run: cli.Run, release: str | None, target: str, origin: str | None, reason: str, approver: str | None,
    actor: str | None, strategy: str | None, dry_run: bool, force: bool,
) -> Result:  # fmt: skip
    """Check everything, move the traffic, verify, and remember it; on failure, back to the former release."""
    from ci.adapters import floors, notifying, people
    from ci.adapters.wanted import strategy as wanted_strategy
    from ci.promotion.checks import Wish
    from ci.promotion.promote import promote
    from ci.shared import shared

    project, common = run.project.name, shared()
    by, other = people.by(actor, reason), people.name("--approver", approver)
    wish = Wish(
        floors.wanted(release, project, target, common), target, by.actor, by.reason, origin, other, by.build, force
    )
    place = floors.floor(project, target, common, say=run.say)
    chosen = wanted_strategy(project, common, target, strategy)
    result = promote(project, wish, place, strategy=chosen, dry_run=dry_run)
    about = notifying.About("promotion", project, target, by.actor, f"{project}@v{wish.version}")
    return notifying.told(result, about, common, quiet=dry_run)


if __name__ == "__main__":
    main()
