"""
Decide whether the challenger may take the champion's place.

Reads   artifacts/<project>/, data/<project>/prepared/, `gate` in the project's params, both ledgers;
        for --project collector all contracts and collector/: its smoke test is its gate
Writes  reports/<project>/gate.json (gate_explain.json), reports/<project>/MODEL_CARD.md, one line in the ledger
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True, aside="explain")
@click.option("--challenger", type=cli.INPUT, metavar="FOLDER", help="Its bundle.  [default: artifacts/NAME]")
@click.option("--champion", metavar="FOLDER|REF|none", help="The bundle to beat.  [default: the live release's]")
@click.option(
    "--comparisons", metavar="FOLDER|local", help="The comparisons ledger.  [default: where the release ledger is]"
)
@click.option("--anchor", metavar="FOLDER|REF|none", help="What losses add up from.  [default: as recorded]")
@click.option("--explain", is_flag=True, help="Judge nothing; tell how much of the test set's budget is left.")
def main(
    run: cli.Run, challenger: Path | None, champion: str | None, comparisons: str | None, anchor: str | None,
    explain: bool,
) -> Result:  # fmt: skip
    """Judge the challenger against the champion on the same test set; exit 3 if it may not be released."""
    from ci.adapters import comparisons as ledgers
    from ci.adapters import services
    from ci.adapters.champions import FoundChampions
    from ci.adapters.live import champion_of
    from ci.gate.explain import explained
    from ci.gate.gate import Workplace, gate
    from ci.params import SERVICES
    from ci.shared import shared

    project, common = run.project, shared()
    if project.name in SERVICES:
        return services.gate(challenger, run.say, champion=champion, anchor=anchor, explain=explain)
    store = ledgers.found(comparisons or common.ledger.comparisons)
    prepared = project.path("data", "prepared")
    if explain:
        return explained(project, prepared, store)
    finder = FoundChampions(common.remote.timeout_s, champion_of(common))
    card, pictures = project.path("reports", "MODEL_CARD.md"), Path(".slipway", "gate", project.name)
    now = run.started.isoformat(timespec="seconds")
    work = Workplace(prepared, card, pictures, store, now, run.progress, finder, anchor)
    return gate(project, challenger or project.path("artifacts"), finder.find(project.name, champion), work)


if __name__ == "__main__":
    main()
