"""
Mark a release bad, so that nobody promotes it or goes back to it; or take that back.

Reads   the release ledger
Writes  one event in the ledger, reports/<project>/mark.json
Exits   0 passed, 2 bad input, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--release", required=True, metavar="VERSION", help="Which, such as v1.4.0.")
@click.option("--bad/--good", default=True, help="Good takes a former mark back.")
@click.option("--reason", required=True, help="Why; whoever is on call will want to know.")
@click.option("--actor", metavar="PERSON", help="Who says so.  [default: Jenkins's user, or Git's]")
def main(run: cli.Run, release: str, bad: bool, reason: str, actor: str | None) -> Result:
    """Mark a release bad, with a reason; --good takes it back, with a reason, too."""
    from ci.adapters import floors, people
    from ci.promotion.words import mark
    from ci.shared import shared

    project = run.project.name
    version = floors.version(release, project)
    return mark(project, version, floors.ledger(shared()), people.by(actor, reason), bad=bad)


if __name__ == "__main__":
    main()
