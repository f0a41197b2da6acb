"""
Name the projects that have something new to judge and release.

Reads   artifacts/, collector/ and all contracts if `services` names it, the release ledger, the server's sources since
Writes  reports/all/changed.json; the names to stdout, separated by blanks
Exits   0 passed (also if there are none), 2 bad input, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
@click.option("--all", "everything", is_flag=True, help="Name every project: for what runs on a schedule.")
@click.option("--deployed", is_flag=True, help="With --all: services, too; for what looks at environments.")
@click.option("--since", metavar="COMMIT", help="Name every project, or none if only data were published since then.")
def main(run: cli.Run, everything: bool, deployed: bool, since: str | None) -> Result:
    """Print the projects whose bundle was never released, or whose release never arrived in the first environment."""
    from ci.adapters import delivery, skipping
    from ci.delivery import every
    from ci.shared import shared

    common = shared()
    if since is not None:
        result = skipping.look(since, common)
    else:
        result = every(common.running if deployed else common.projects) if everything else delivery.look(common)
    run.tell(" ".join(result.data["projects"]))
    return result


if __name__ == "__main__":
    main()
