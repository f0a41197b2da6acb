"""Two answers to one request: the live release's, which its caller got, and that of its shadow, which nobody got."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """
    What one release answered, and when (UTC, ISO 8601).

    `answer` has one item per row: a probability, a number or a list by class; None where there was no prediction, or one
    that was too long or too binary to be kept. `said` is why there was none.
    """

    release: str
    at: str
    status: int
    answer: list[Any] | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer of one server; `number` grows by one from answer to answer."""

    number: int
    request_id: str
    answered: Answered


@dataclass(frozen=True, slots=True)
class Pair:
    """Both answers to one request."""

    request_id: str
    baseline: Answered
    shadow: Answered

    def document(self) -> dict[str, Any]:
        """Return it as one line of NDJSON has it."""
        return asdict(self)

    def apart(self) -> float | None:
        """Return by how much two predictions differ at most; None if one is missing or has another form."""
        if self.baseline.answer is None or self.shadow.answer is None:
            return None
        both = [_flat(self.baseline.answer), _flat(self.shadow.answer)]
        pairs = list(zip_longest(*both))
        if any(not isinstance(value, int | float) for pair in pairs for value in pair):
            return None
        return max((abs(one - other) for one, other in pairs), default=None)


class Pairs(Protocol):
    """Where pairs are recorded while a shadow runs."""

    def since(self, moment: datetime) -> Iterator[Pair]:
        """
        Yield the pairs whose copy was answered after a moment, oldest first.

        Only what servers still hold: the last ten thousand answers each, and none of a server that was started again.

        Raises:
            Unavailable: a server does not answer, or is of a kind that records nothing.
        """


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of the answers: pairs, and how many stayed alone or are of a request id that came more than once."""

    pairs: list[Pair]
    alone: int
    ambiguous: int


def joined(baseline: Iterable[Heard], shadow: Iterable[Heard]) -> Joined:
    """Join answers by request id, in the order in which the shadow gave its own. Callers may send an id twice: such are left out."""
    mine, theirs = list(baseline), list(shadow)
    times = Counter(item.request_id for item in mine), Counter(item.request_id for item in theirs)
    twice = {name for counted in times for name, number in counted.items() if number > 1}
    by_id = {item.request_id: item.answered for item in mine if item.request_id not in twice}
    both = sorted((item for item in theirs if item.request_id in by_id), key=lambda item: item.answered.at)
    pairs = [Pair(item.request_id, by_id[item.request_id], item.answered) for item in both]
    apart = len(times[0].keys() ^ times[1].keys())
    return Joined(pairs, apart, len(twice))


def _flat(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]
