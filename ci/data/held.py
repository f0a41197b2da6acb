"""What a collection service says of what it holds: docs/reference/collector.md has the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import ConfigDict, Field, StringConstraints

from ci.params import Model, Sha256

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["records", "outcomes"]
PeriodName = Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d\d(-\d\d)?|-W\d\d)?$")]


class Answer(Model):
    """Something that the service says; a newer one may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Held(Answer):
    """One period as the service holds it."""

    period: PeriodName
    start: str
    end: str = Field(description="Exclusive.")
    rows: int = Field(ge=0)
    labelled: int = Field(0, ge=0)
    newest: str | None = None
    settled: bool = Field(description="Has event time moved on by more than the lateness that is allowed for?")
    version: int = 1
    digest: Sha256 = Field(description="Of the rows, in the order of their keys.")
    removed: str | None = Field(None, description="When its rows were removed there, because they were published here.")


class State(Answer):
    """How far a project has come in the service."""

    project: str
    contract: str = ""
    watermark: str | None = None
    records: int = 0
    predictions: int = 0
    outcomes: int = 0
    waiting: int = 0
    quarantined: int = 0


class Reason(Answer):
    """Why a record was not taken."""

    field: str | None = None
    reason: str


class Outcome(Answer):
    """What became of one record of a batch; one that was simply taken is not mentioned."""

    index: int = Field(ge=0)
    outcome: str
    reasons: list[Reason] = Field(default_factory=list)
    quarantine: int | str | None = None


class Receipt(Answer):
    """What became of a batch; whatever it counts is on the service's disk."""

    accepted: int = Field(0, ge=0)
    duplicates: int = Field(0, ge=0)
    restated: int = Field(0, ge=0)
    rejected: int = Field(0, ge=0)
    results: list[Outcome] = Field(default_factory=list)


class Quarantined(Answer):
    """One record that waits for a person."""

    id: int | str
    kind: str = "records"
    received: str = ""
    sender: str = ""
    reasons: list[Reason] = Field(default_factory=list)
    record: Any = None


@runtime_checkable
class Settling(Protocol):
    """A source that says itself up to when nothing more will come."""

    def settled(self) -> datetime | None:
        """Return the end of the newest settled period; None if there is none yet."""
