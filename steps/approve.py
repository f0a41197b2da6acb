"""
Agree that a release, by its digest, enters an environment.

Reads   the release ledger, `environments` in params.yaml
Writes  one event in the ledger, reports/<project>/approve.json
Exits   0 passed, 2 bad input, 3 rejected (it was marked bad), 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--release", required=True, metavar="VERSION", help="Which, such as v1.4.0.")
@click.option("--env", required=True, metavar="ENVIRONMENT", help="Where it may enter.")
@click.option("--reason", default="", show_default=False, help="Why; the ledger remembers it.")
@click.option("--as", "actor", metavar="PERSON", help="Who agrees.  [default: Jenkins's user, or Git's]")
def main(run: cli.Run, release: str, env: str, reason: str, actor: str | None) -> Result:
    """Record an approval; it holds for this digest and environment, and runs out (approvals.valid_hours)."""
    from ci.adapters import floors, people
    from ci.promotion.checks import place_of
    from ci.promotion.words import approve
    from ci.shared import shared

    project, common = run.project.name, shared()
    place_of(env, common.environments)
    version = floors.version(release, project)
    return approve(project, version, env, floors.ledger(common), people.by(actor, reason))


if __name__ == "__main__":
    main()
