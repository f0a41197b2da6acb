"""What verification asks of those who count traffic; implementations live in ci/adapters/monitoring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASELINE, CANARY = "baseline", "canary"
ARMS = (BASELINE, CANARY)


@dataclass(frozen=True, slots=True)
class Selector:
    """A family of counters and conditions on its labels: (label, "=" | "!=" | "=~" | "!~", value)."""

    family: str
    where: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        """Spell it as Prometheus does."""
        inner = ",".join(f'{label}{sign}"{_escaped(value)}"' for label, sign, value in self.where)
        return f"{self.family}{{{inner}}}" if inner else self.family


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class Query:
    """
    What to read for one metric of one arm.

    `cells` maps a cell (`bad`, `total`, or `le` for all buckets at once) to a selector, or to a text that only its
    source understands. `heartbeat` is there whenever a server is, so that a missing counter is a zero.
    `zero`: so is a missing bad cell of a source that has no heartbeat, as of APIs that leave out zeros.
    """

    metric: str
    arm: str
    source: str
    cells: Mapping[str, Selector | str]
    heartbeat: Selector | None = None
    instances: Sequence[str] = ()
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One raw counter at one moment; `at` in seconds since 1970, `series` tells apart what is added up in a cell."""

    metric: str
    arm: str
    instance: str
    cell: str
    series: str
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance of an arm was there at a moment, whatever it had counted."""

    metric: str
    arm: str
    instance: str
    at: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source said; `complaints` make a verdict invalid, `skew_s` is its clock minus ours."""

    samples: Sequence[Sample] = ()
    seen: Sequence[Seen] = ()
    complaints: Sequence[str] = ()
    skew_s: float | None = None


class Provider(Protocol):
    """Reads raw counters; never computes rates."""

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:
        """
        Return the samples in (since, until]; a source without a memory returns those of now.

        No samples means no data. A value that is not a number is left out, and its instance is not seen at that moment.

        Raises:
            Unavailable: no answer after all tries.
            BadInput: the source refuses the question; asking again is useless.
        """


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float:
        """Seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The queries of one look by source; `skipped` says why a standard metric is not asked for."""

    by_source: Mapping[str, Sequence[Query]]
    skipped: Mapping[str, str] = field(default_factory=dict)
