"""
The budget of a test set: each comparison against it spends a share of the error that the project accepts.

The k-th comparison is decided at α/(k(k+1)); over any number of them the chance of a false promotion stays below α. A
pair that was judged before is answered from memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from ci.errors import Unavailable
from ci.params import Model, Sha256
from ci.stats import alpha_spending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TRIES = 8
OVERLAP = 0.5
"""Share of a period from which on two test sets are told to be largely the same."""


class Pair(Model):
    """What was compared; the same pair has the same answer."""

    challenger: Sha256 = Field(description="Bundle digest.")
    champion: Sha256 = Field(description="Bundle digest.")
    policy: Sha256 = Field(description="Of the policy, the contract's part in it, and the version of the method.")


class AnchorAt(Model):
    """The bundle that a challenger's successors are held to, once it is released; see ci/gate/anchor.py."""

    digest: Sha256 = Field(description="Of the bundle.")
    at: str | None = Field(None, description="Folder or revision that has it; null for the challenger itself.")


class Comparison(Model):
    """One line of the comparisons ledger."""

    schema_version: int = 1
    project: str
    test_set: Sha256 = Field(description="sha256 of test.parquet.")
    number: int = Field(ge=1, description="The how-manieth against this test set.")
    alpha: float = Field(description="Share of the error that it spent.")
    pair: Pair
    window: tuple[str, str] | None = Field(None, description="First and last moment of the test set, ISO 8601.")
    anchor: AnchorAt | None = Field(None, description="The anchor from here on, if the challenger is released.")
    live: bool = Field(False, description="Was the champion the live release's, rather than one that somebody named?")
    judged: str = Field(description="When, UTC, ISO 8601.")
    outcome: str
    message: str
    result: dict[str, Any] = Field(description="Checks, facts, tables and data of the report.")


class Comparisons(Protocol):
    """The comparisons ledger, wherever it is kept."""

    def of(self, project: str, test_set: str) -> Sequence[Comparison]:
        """Return the comparisons against a test set, first to last."""

    def by(self, project: str, challenger: str) -> Sequence[Comparison]:
        """Return the comparisons in which a bundle (by digest) was the challenger, against any test set."""

    def others(self, project: str, test_set: str) -> Sequence[tuple[Comparison, int]]:
        """Return the last comparison against each other test set, and how many there were."""

    def add(self, comparison: Comparison) -> bool:
        """Remember a comparison under its number; False if somebody else was quicker with that number."""

    def place(self) -> str:
        """Say where it is kept, for people."""


def remembered(past: Sequence[Comparison], pair: Pair) -> Comparison | None:
    """Return the comparison of the same pair, if there was one."""
    return next((item for item in past if item.pair == pair), None)


def settled(
    store: Comparisons, project: str, test_set: str, pair: Pair, decide: Callable[[int], Comparison]
) -> Comparison:
    """
    Decide as the next comparison and remember it; who loses the race for a number decides again with the next.

    Raises:
        Unavailable: others were quicker again and again.
    """
    for _ in range(_TRIES):
        past = store.of(project, test_set)
        if former := remembered(past, pair):
            return former
        made = decide(len(past) + 1)
        if store.add(made):
            return made
    raise Unavailable(f"{store.place()}: others were quicker {_TRIES} times", hint="run the gate again")


def spent(count: int, alpha: float) -> float:
    """Return the part of `alpha` that `count` comparisons have spent: Σ α/(k(k+1)) = α·(1 − 1/(count+1))."""
    return sum(alpha_spending(number, alpha) for number in range(1, count + 1))


def overlap(window: tuple[str, str] | None, other: tuple[str, str] | None) -> float:
    """Return the share of `window` that `other` covers, 0 to 1; 0 where either is not dated."""
    from datetime import datetime

    if window is None or other is None:
        return 0.0
    (start, end), (first, last) = (tuple(map(datetime.fromisoformat, item)) for item in (window, other))
    common = (min(end, last) - max(start, first)).total_seconds()
    return max(0.0, common / max((end - start).total_seconds(), 1e-9))
