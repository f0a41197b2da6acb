"""Incidents, what was done about them, and how that ended; changed by pure functions, kept with the environment."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, Protocol

from pydantic import Field

from ci.params import Model, Name, ProjectName, Sha256
from ci.params_watching import Cause
from ci.releases.record import Version

KEPT = 200
Status = Literal["asked", "running", "passed", "rejected", "inconclusive", "failed"]


class Incident(Model):
    """A reason to learn anew: a release that fell in quality, or a world that moved."""

    key: str = Field(
        pattern=r"^[a-z0-9:._-]{1,120}$", description="The same for the same fault, however often it is seen."
    )
    cause: Cause | Literal["data"] = Field(description="What it tells of; data: there is more of it, and no fault.")
    version: Version = Field(description="The release that has it, or that more could be learned than.")
    at: datetime
    why: str = Field(max_length=1000)


class Attempt(Model):
    """One retraining; kept before anybody is asked for it."""

    request: Sha256 = Field(description="Its name on the way: who is asked twice knows it again.")
    at: datetime
    as_of: date = Field(description="Rows from before this date are learned from.")
    status: Status = "asked"
    queue: str | None = Field(None, description="Where it waits: a number that the one who was asked gave.")
    build: str | None = Field(None, description="Where it runs.")
    former: date | None = Field(None, description="as_of of the checkout before it was moved, where a checkout learns.")
    told: str = Field("", max_length=1000, description="How it stands or ended.")

    @property
    def ended(self) -> bool:
        """Say whether nothing more will come of it."""
        return self.status not in {"asked", "running"}


class Case(Model):
    """An incident with its one attempt; open until a later release is live, or a person closes it."""

    incident: Incident
    attempt: Attempt
    closed: datetime | None = None


class Cases(Model):
    """All cases of one project in one environment, oldest first."""

    schema_version: Literal[1] = 1
    project: ProjectName
    environment: Name
    cases: list[Case] = Field(default_factory=list)

    def but(self, cases: list[Case]) -> Cases:
        """Return a copy with other cases."""
        return self.model_copy(update={"cases": cases[-KEPT:]})

    def opening(self, incident: Incident, attempt: Attempt) -> Cases:
        """Return a copy with one more case."""
        return self.but([*self.cases, Case(incident=incident, attempt=attempt)])

    def attempting(self, attempt: Attempt) -> Cases:
        """Return a copy in which the attempt of the same request stands as given."""
        return self.but([
            item.model_copy(update={"attempt": attempt}) if item.attempt.request == attempt.request else item
            for item in self.cases
        ])  # fmt: skip

    def open(self) -> Case | None:
        """Return the case that is open; there is one at most."""
        return next((item for item in reversed(self.cases) if item.closed is None), None)

    def closing(self, at: datetime) -> Cases:
        """Return a copy in which nothing is open."""
        return self.but([item if item.closed else item.model_copy(update={"closed": at}) for item in self.cases])


class CaseKeeper(Protocol):
    """Keeps the cases; a write is whole or did not happen."""

    def read(self) -> Cases:
        """
        Return what was kept; none if nothing was.

        Raises:
            BadInput: it cannot be read: who has forgotten what was tried would try for ever.
        """

    def write(self, cases: Cases) -> None:
        """Keep them, flushed to the disk."""
