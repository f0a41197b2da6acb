"""What a lone release is held against: its own offline evaluation, or what was recorded of another release here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ci.params import Model
from ci.rollout.interface import Answer
from ci.verification.bands import share_band
from ci.verification.interface import CANARY
from ci.verification.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ci.rollout.interface import Question

RECORD_ALPHA = 0.01  # chance that a recorded rate lies outside of its band


class Reference(Model):
    """Kept with the verdict, so that it replays; either a `share` of bad events, or `counts` of `cells`."""

    of: str = Field(max_length=400, description="Where it comes from, for people.")
    share: float | None = Field(None, ge=0, le=1, description="Upper end of what the share of bad events was.")
    cells: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    def upper(self) -> float | None:
        """Return the largest share of bad events that fits it."""
        if self.share is not None:
            return self.share
        if self.cells != ("bad", "all") or not self.counts[1]:
            return None
        bad, n = self.counts
        return share_band(bad, n, RECORD_ALPHA, n)[1]

    def above(self, cells: Sequence[str]) -> list[tuple[float, float]]:
        """Return for each cut between `cells` the band of the share above it; none if it is of other cells."""
        if tuple(cells) != self.cells or not sum(self.counts):
            return []
        n = sum(self.counts)
        alpha = RECORD_ALPHA / max(1, len(cells) - 1)
        return [share_band(sum(self.counts[cut + 1 :]), n, alpha, n) for cut in range(len(cells) - 1)]


def recorded(question: Question, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Reference]:
    """
    Return what was recorded of the predecessor: the newest other release that was found not worse in this place.

    `documents` are evidence files with their names. Not concurrent: a season that changed looks like a release that did.
    """
    found: tuple[float, dict[str, Reference]] = (float("-inf"), {})
    for name, document in documents:
        asked, verdict = document.get("question", {}), document.get("verdict", {})
        of = asked.get("arms", {}).get(CANARY, {}).get("release")
        here = (asked.get("project"), asked.get("environment")) == (question.project, question.environment)
        if not here or of in {None, question.candidate.release.name} or verdict.get("answer") != Answer.NOT_WORSE.value:
            continue
        read = {metric: Windows.from_json(metric, item) for metric, item in document.get("windows", {}).items()}
        newest = max((float(item.starts[-1]) for item in read.values() if len(item)), default=found[0])
        if newest > found[0]:
            found = newest, {metric: _summed(of, name, item) for metric, item in read.items() if len(item)}
    return found[1]


def _summed(of: str, name: str, windows: Windows) -> Reference:
    counts = windows.arms[CANARY].sum().sum(axis=0)
    return Reference(of=f"{of} as recorded in {name}", cells=windows.cells, counts=tuple(map(int, counts)))
