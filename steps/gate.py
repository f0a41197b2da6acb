"""
Decide whether the challenger may take the champion's place.

Reads   artifacts/<project>/, data/<project>/prepared/, `gate` in the project's params, the comparisons ledger and
        the release ledger
Writes  reports/<project>/gate.json, reports/<project>/MODEL_CARD.md, one line in the comparisons ledger
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
@click.option("--challenger", type=cli.INPUT, metavar="FOLDER", help="Its bundle.  [default: artifacts/NAME]")
@click.option("--champion", metavar="FOLDER|REF|none", help="The bundle to beat.  [default: the live release's]")
@click.option(
    "--comparisons", metavar="FOLDER|local", help="The comparisons ledger.  [default: a ref of the Git remote]"
)
@click.option("--explain", is_flag=True, help="Judge nothing; tell how much of the test set's budget is left.")
def main(run: cli.Run, challenger: Path | None, champion: str | None, comparisons: str | None, explain: bool) -> Result:
    """Judge the challenger against the champion on the same test set; exit 3 if it may not be released."""
    from ci.adapters import comparisons as ledgers
    from ci.adapters.champions import FoundChampions
    from ci.adapters.live import champion_of
    from ci.gate.explain import explained
    from ci.gate.gate import Workplace, gate
    from ci.shared import shared

    project, store = run.project, ledgers.found(comparisons)
    prepared = project.path("data", "prepared")
    if explain:
        return explained(project, prepared, store)
    common = shared()
    live = None if champion else champion_of(common)
    found = FoundChampions(common.remote.timeout_s, live).find(project.name, champion)
    card, pictures = project.path("reports", "MODEL_CARD.md"), Path(".slipway", "gate", project.name)
    work = Workplace(prepared, card, pictures, store, run.started.isoformat(timespec="seconds"), run.progress)
    return gate(project, challenger or project.path("artifacts"), found, work)


if __name__ == "__main__":
    main()
