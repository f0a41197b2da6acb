"""
Move all traffic back to a release that was well.

Reads   the release ledger (as far as it can be had), `environments` in params.yaml, what runs in the environment
Writes  the environment (traffic), one event in the ledger or in its queue, a notice, reports/<project>/rollback.json
Exits   0 passed, 2 bad input, 3 rejected, 5 unavailable, 6 rolled back, 7 not restored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--env", required=True, metavar="ENVIRONMENT", help="Where.")
@click.option("--to", "release", metavar="VERSION", help="To which release.  [default: the last known good]")
@click.option("--reason", default="", show_default=False, help="Why; the ledger remembers it.")
@click.option("--actor", metavar="PERSON", help="Who asks.  [default: Jenkins's user, or Git's]")
@click.option("--force", is_flag=True, help="Also to one that was marked bad or never live here; needs a reason.")
@click.option("--dry-run", is_flag=True, help="Say where it would go; move nothing.")
def main(
    run: cli.Run, env: str, release: str | None, reason: str, actor: str | None, force: bool, dry_run: bool
) -> Result:
    """Go back to the last release that was live and verified; works when registry, remote or monitoring are gone."""
    from ci.adapters import floors, notifying, people
    from ci.promotion.rollback import Retreat, roll_back
    from ci.shared import shared

    project, common = run.project.name, shared()
    by = people.by(actor, reason)
    version = floors.version(release, project) if release else None
    wish = Retreat(env, by.actor, version, by.reason, force, by.build)
    running, records = floors.ground(project, env, common, timeout_s=floors.AT_NIGHT_S)
    result = roll_back(project, wish, running, records, dry_run=dry_run)
    about = notifying.About("rollback", project, env, by.actor)
    return notifying.told(result, about, common, quiet=dry_run)


if __name__ == "__main__":
    main()
