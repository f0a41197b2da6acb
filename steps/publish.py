"""
Publish the rows that lie here as a data version: to the DVC remote, on a branch, in the ledger.

Reads   data/<project>/, dvc.lock, the check's report, `publish` in the project's params, the ledger of its data
Writes  the DVC remote, one commit on a branch, one tag, reports/<project>/data_card/, reports/<project>/publish.json
Exits   0 passed (also if it was published before), 2 bad input, 3 rejected, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
@click.option("--branch", metavar="NAME", help="Which branch moves.  [default: publish.branch, or data/NAME]")
@click.option("--actor", metavar="PERSON", help="Who publishes.  [default: Jenkins's user, or Git's]")
@click.option("--reason", default="", show_default=False, help="Why; commit and ledger remember it.")
@click.option("--dry-run", is_flag=True, help="Say which version it would be, and draw its card; push nothing.")
def main(run: cli.Run, branch: str | None, actor: str | None, reason: str, dry_run: bool) -> Result:
    """Publish checked rows; 3 if the data check rejected them: the last version stays, and the owner is told why."""
    from ci.adapters.publishing import Options, published
    from ci.shared import shared

    return published(run.project, Options(branch, actor, reason, dry_run), shared(), run.progress)


if __name__ == "__main__":
    main()
