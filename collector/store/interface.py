"""What a store takes and gives, whatever database is behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Kind = Literal["records", "events", "outcomes"]
KINDS: tuple[Kind, ...] = ("records", "events", "outcomes")
OF_RECORD, OF_PREDICTION = 0, 1  # what an outcome's address is that of


class Record(NamedTuple):
    """One row of the contract."""

    place: int  # its place in the batch
    key: bytes
    time: int  # microseconds; 0 where the contract has no event time
    row: bytes  # msgpack of the values, in the order of the batch's shape


class Prediction(NamedTuple):
    """One prediction event."""

    place: int
    address: bytes  # of request id and row
    release: str
    version: str
    time: int  # when it was predicted, microseconds
    happens: int  # event time of what was predicted; `time` where the inputs do not say
    due: int  # until when an outcome counts
    body: bytes  # msgpack: request id, row, bundle, inputs, name and value of the output


class Outcome(NamedTuple):
    """What became known later, of a record, a prediction, or both."""

    place: int
    key: bytes | None
    address: bytes | None
    known_at: int
    values: dict[str, Any]


class Reason(NamedTuple):
    """Why a record was refused."""

    field: str | None
    reason: str


class Refused(NamedTuple):
    """A record that goes into the quarantine."""

    place: int
    reasons: list[Reason]
    record: bytes


@dataclass(frozen=True)
class Batch:
    """One delivery, read and judged."""

    project: str
    kind: Kind
    shape: int  # which columns, in which order, `Record.row` has
    sender: str
    received: int
    target: str
    items: Sequence[Any]
    refused: Sequence[Refused] = ()
    replayed: dict[int, int] = field(default_factory=dict)  # place in the batch to id in the quarantine
    spell: Callable[[bytes], bytes] = bytes  # from `Record.row` to the record as JSON


class Fate(NamedTuple):
    """What became of one record that was not simply taken."""

    place: int
    outcome: Literal["rejected", "restated", "duplicate"]
    reasons: Sequence[Reason] = ()
    quarantine: int | None = None


@dataclass
class Answer:
    """What became of a delivery."""

    accepted: int = 0
    duplicates: int = 0
    restated: int = 0
    rejected: int = 0
    results: list[Fate] = field(default_factory=list)


class Row(NamedTuple):
    """A record as it is read back, with what became known later."""

    time: int
    shape: int
    row: bytes
    known: bytes | None  # msgpack: column to value


class Day(NamedTuple):
    """What is counted for each day of event time."""

    day: int  # since 1970
    rows: int
    newest: int
    version: int  # rises with every change


class Quarantined(NamedTuple):
    """A refused record as it is kept."""

    id: int
    kind: Kind
    received: int
    sender: str
    reasons: bytes  # JSON
    record: bytes


class Joined(NamedTuple):
    """A prediction whose label is known."""

    id: int
    time: int
    happens: int
    release: str
    version: str
    body: bytes
    known_at: int
    known: bytes  # msgpack: column to value


class Removed(NamedTuple):
    """A period whose rows are no longer here: somebody else has them, under this digest."""

    period: str
    start: int  # microseconds, half-open
    stop: int
    digest: str
    rows: int
    labelled: int
    newest: int | None
    version: int
    removed: int  # when, microseconds


class Until(NamedTuple):
    """What is old enough to go, in microseconds; None keeps everything."""

    happened: int | None = None  # predictions of what happened before,
    received: int | None = None  # that came before, and outcomes that came before and have no prediction
    refused: int | None = None  # quarantined before


class Labels(NamedTuple):
    """How far labels have come, for one release and day."""

    release: str
    day: int
    predictions: int
    labelled: int
    expired: int


class Past(NamedTuple):
    """A version that another one took the place of."""

    id: int
    kind: str
    version: int
    replaced: int  # when, microseconds
    shape: int  # 0 for outcomes
    row: bytes


class Session(Protocol):
    """One transaction that writes."""

    def add(self, batch: Batch, most_quarantined: int) -> Answer:
        """Take a delivery."""

    def forget(self, project: str, quarantined: int) -> bool:
        """Remove a quarantined record; False when there is none."""

    def shape(self, project: str, columns: Sequence[str]) -> int:
        """Return the number of these columns in this order."""

    def remove(self, project: str, period: Removed) -> bool:
        """Close a period, whose rows `tidy` then removes; False if it has changed since it was described."""

    def tidy(self, project: str, until: Until, most: int) -> int:
        """Remove some of what may go, not more than `most` of a kind; returns how many, 0 when all is gone."""


class View(Protocol):
    """One consistent look at everything."""

    def counts(self, project: str) -> dict[str, int]:
        """Return records, predictions, outcomes (all that were taken), waiting, quarantined, and what was removed."""

    def days(self, project: str) -> list[Day]:
        """Return the days that have rows, oldest first."""

    def removed(self, project: str) -> list[Removed]:
        """Return the periods whose rows were removed, oldest first."""

    def rows(self, project: str, start: int, end: int) -> Iterator[Row]:
        """Yield the rows of `[start, end)`, by event time and then key."""

    def shapes(self, project: str) -> dict[int, list[str]]:
        """Return the columns of each shape."""

    def joined(
        self, project: str, after: int, limit: int, bounds: tuple[int, int], release: str | None
    ) -> Iterator[Joined]:
        """Yield predictions with labels, in the order in which they were joined."""

    def labels(self, project: str, bounds: tuple[int, int]) -> list[Labels]:
        """Count predictions by release and day of event time."""

    def quarantine(self, project: str, after: int, limit: int) -> Iterator[Quarantined]:
        """Yield quarantined records, oldest first."""

    def quarantined(self, project: str, ids: Sequence[int]) -> dict[int, Quarantined]:
        """Return some of them by id."""

    def past(self, project: str, after: int, limit: int) -> Iterator[Past]:
        """Yield versions that others took the place of, in the order in which that happened."""


class Store(Protocol):
    """A database. One thread writes; any may read."""

    identity: str  # of the data: files derived from another store are not taken for this one's

    def write(self, work: Callable[[Session], None]) -> None:
        """
        Do all of `work` in one transaction, which is on the disk when this returns.

        Raises:
            StoreError: nothing was kept.
        """

    def read(self, work: Callable[[View], Any]) -> Any:
        """
        Let `work` look at one consistent state.

        Raises:
            StoreError: the database did not answer.
        """

    def size(self) -> int | None:
        """Bytes that the database takes; None where that is not this machine's concern."""

    def close(self) -> None:
        """Let go of connections."""
