"""The verdict: an outcome, its reasons, and everything that was measured on the way to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.errors import Outcome
from ci.report import Found, deciding, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.report import Check
    from ci.stats import Estimate

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """
    One metric of both models on the same rows.

    champion  its value; how surely it is better or worse is the gain's matter
    gain      of the challenger over the champion, + is better
    margin    largest loss that counts as none, in the metric's unit
    """

    challenger: Estimate
    champion: float | None = None
    gain: Estimate | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class SliceFound:
    """
    One slice; `gain` and what follows are None where it was too small to be measured.

    damage  what it takes from the whole: its loss times its share of the rows, negative for a gain
    """

    column: str
    value: str
    n: int
    check: Check
    gain: float | None = None
    damage: float | None = None
    challenger: float | None = None
    champion: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    May the challenger take the champion's place?

    checks          every question with its answer; the first of the worst kind decided
    release_needed  False where challenger and champion are the same
    beats_anchor    whether the challenger, once released, is the next anchor
    comparison      the how-manieth this is against its test set, with the share `alpha` of the error budget; None
                    where nothing was compared
    """

    outcome: Outcome
    message: str
    checks: Sequence[Check]
    release_needed: bool = True
    comparison: int | None = None
    alpha: float | None = None
    metrics: Mapping[str, Measured] = field(default_factory=dict)
    slices: Sequence[SliceFound] = ()
    disagreement: float | None = None
    beats_anchor: bool = False

    @property
    def passed(self) -> bool:
        """Whether the challenger may become a release."""
        return self.outcome is Outcome.PASSED and self.release_needed


def concluded(checks: Sequence[Check], slices: Sequence[SliceFound] = (), **found: Any) -> Verdict:
    """Add checks up to a verdict whose message names the one that decided, and where the damage is."""
    outcome = worst(checks)
    first = deciding(checks) if outcome is not Outcome.PASSED else checks[0] if checks else None
    message = f"{first.name}: {first.message}" if first else "nothing was asked"
    if outcome is not Outcome.PASSED:
        message += _where(slices)
    return Verdict(outcome, message, tuple(checks), slices=slices, **found)


def _where(slices: Sequence[SliceFound]) -> str:
    """Name the slices that are worse for sure, else those that do most damage."""
    sure = [item for item in slices if item.check.outcome is Found.REJECTED]
    named = [f"{item.column}={item.value}" for item in sure or slices if (item.damage or 0) > 0][:_NAMED]
    return f"; {'worse' if sure else 'most damage'} in {', '.join(named)}" if named else ""
