"""Whether two answers to one request differ: the live release's, and that of its shadow."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from ci.verification.interface import Reading, Sample, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ci.verification.interface import Query
    from ci.verification.labels import Answering

EVERYWHERE = "mirror"


class Said(Protocol):
    """What one release answered (`ci.rollout.pairs.Answered`): one item a row, None where there was no prediction."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def answer(self) -> Sequence[Any] | None:
        """One item a row."""


class Both(Protocol):
    """Both answers to one request (`ci.rollout.pairs.Pair`)."""

    @property
    def request_id(self) -> str:
        """Which request."""

    @property
    def baseline(self) -> Said:
        """The live release's answer, which its caller got."""

    @property
    def shadow(self) -> Said:
        """The answer that nobody got."""


class Pairs(Protocol):
    """Where pairs are recorded while a shadow runs (`ci.rollout.pairs.Pairs`)."""

    def since(self, moment: datetime) -> Iterator[Both]:
        """
        Yield the pairs whose copy was answered after a moment, oldest first.

        Raises:
            Unavailable: who keeps them does not answer.
        """


def differs(pair: Both, answering: Answering) -> bool | None:
    """
    Compare row by row: another class, or an output further away than the tolerance; None where nothing can be compared.

    A shadow that gives no prediction where the live release does differs, too.
    """
    ours, theirs = pair.baseline.answer, pair.shadow.answer
    if ours is None or theirs is None:
        one_failed = (pair.baseline.status >= 400) != (pair.shadow.status >= 400)
        return True if one_failed else None
    if len(ours) != len(theirs):
        return True
    rows = [_row_differs(a, b, answering) for a, b in zip(ours, theirs, strict=True)]
    return None if None in rows else any(rows)


def _row_differs(ours: Any, theirs: Any, answering: Answering) -> bool | None:
    a, b = (list(map(float, row)) if isinstance(row, list) else [float(row)] for row in (ours, theirs))
    if len(a) != len(b):
        return True
    far = answering.tolerance is not None and any(
        not abs(one - other) <= answering.tolerance for one, other in zip(a, b, strict=True)
    )
    if answering.task == "multiclass":
        return far or a.index(max(a)) != b.index(max(b))
    if answering.task == "binary":
        return far or (a[0] >= answering.threshold) != (b[0] >= answering.threshold)
    return None if answering.tolerance is None else far


class PairsProvider:
    """Pairs as counters: how many there were, how many differed; satisfies `ci.verification.interface.Provider`."""

    def __init__(self, pairs: Pairs, answering: Answering) -> None:
        """Take who keeps pairs, and how answers are told apart."""
        self._pairs, self._answering = pairs, answering
        self._known: set[str] = set()
        self._total = self._bad = 0

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:
        """
        Count the pairs until now; a server keeps the newest, so each is counted when it is first seen.

        Raises:
            Unavailable: who keeps them does not answer.
        """
        for pair in self._pairs.since(datetime.fromtimestamp(since).astimezone()):
            if pair.request_id not in self._known:
                self._known.add(pair.request_id)
                apart = differs(pair, self._answering)
                self._total += apart is not None
                self._bad += bool(apart)
        samples = [
            Sample(query.metric, query.arm, EVERYWHERE, cell, cell, until, float(value))
            for query in queries
            for cell, value in (("bad", self._bad), ("total", self._total))
        ]
        return Reading(samples, [Seen(query.metric, query.arm, EVERYWHERE, until) for query in queries])
