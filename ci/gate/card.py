"""The model card: what the bundle says of itself, and what the gate says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.files import said_plainly, write_text
from ci.model.bundle import CARD
from ci.report import Found
from ci.templating import render

if TYPE_CHECKING:
    from pathlib import Path

    from ci.gate.told import Duel
    from ci.report import Result

_CONTESTS = {"better", "not worse", "anchor"}


def write(duel: Duel, found: Result, path: Path) -> None:
    """Write the card of the challenger: evaluation and lineage as sealed, then the verdict with its evidence."""
    sealed = duel.challenger.folder / CARD
    with said_plainly(sealed):
        text = sealed.read_text(encoding="utf-8")
    contests = [check for check in found.checks if check.extra.get("kind") in _CONTESTS and "mde" in check.extra]
    slices = [check for check in found.checks if check.extra.get("kind") == "slice"]
    rest = [check for check in found.checks if check not in slices and check not in contests]
    write_text(
        path,
        render(
            "gate/card.md.j2",
            card=text.rstrip() + "\n",
            verdict=found.outcome.value,
            message=found.message,
            facts=found.facts,
            alpha=found.data["alpha"],
            contests=contests,
            slices=[check for check in slices if check.outcome is Found.REJECTED],
            checks=rest,
        ),
    )
