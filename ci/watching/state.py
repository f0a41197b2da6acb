"""What the watch remembers of one project in one environment; changed by pure functions, kept with the environment."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from ci.params import Model, Name, ProjectName
from ci.params_watching import Cause
from ci.releases.record import Version
from ci.rollout.interface import Answer

KEPT = 100


class Look(Model):
    """One look at a release while it was live; `stay` tells one stay of the same release from another."""

    at: datetime
    version: Version
    stay: int = Field(ge=0, description="Number of the ledger's event by which it became live; 0 if unknown.")
    answer: Answer
    cause: Cause = Field("code", description="What a worse answer tells of.")
    message: str = ""
    restarts: dict[str, int] = Field(
        default_factory=dict, description="How often each of its servers had ended by then."
    )


class Demotion(Model):
    """A release that is taken back: `begun` until it is known how that ended; `failed` if it kept its traffic."""

    at: datetime
    version: Version
    stay: int = 0
    to: Version
    cause: Cause
    reason: str
    status: Literal["begun", "done", "failed"] = "begun"
    marked: bool = Field(False, description="The ledger knows that it is bad.")


class Memory(Model):
    """Looks and demotions, oldest first."""

    schema_version: Literal[1] = 1
    project: ProjectName
    environment: Name
    looks: list[Look] = Field(default_factory=list)
    demotions: list[Demotion] = Field(default_factory=list)

    def but(self, **changes: object) -> Memory:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)

    def restarts(self, version: str, stay: int) -> dict[str, int] | None:
        """Return how often each server had ended by itself at the last look at one stay of a release; None if it was none."""
        last = self.looks[-1] if self.looks else None
        return last.restarts if last and (last.version, last.stay) == (version, stay) else None

    def seeing(self, look: Look) -> Memory:
        """Return a copy with one more look."""
        return self.but(looks=[*self.looks, look][-KEPT:])

    def with_last(self, demotion: Demotion) -> Memory:
        """Return a copy whose last demotion is another."""
        return self.but(demotions=[*self.demotions[:-1], demotion])

    def beginning(self, demotion: Demotion) -> Memory:
        """Return a copy with one more demotion; those that the ledger has not heard of are never forgotten."""
        known = [item for item in self.demotions[:-KEPT] if item.status == "done" and not item.marked]
        return self.but(demotions=[*known, *self.demotions[-KEPT:], demotion])

    def shunned(self) -> set[str]:
        """Return the versions that were taken back and that the ledger may not know to be bad yet."""
        return {item.version for item in self.demotions if not item.marked and item.status != "failed"}


class Keeper(Protocol):
    """Keeps the memory; a write is whole or did not happen."""

    @property
    def place(self) -> str:
        """Where it lies, for people."""

    def read(self) -> Memory:
        """
        Return what was kept; an empty memory if nothing was.

        Raises:
            BadInput: it cannot be read. A watch that has forgotten is no watch.
        """

    def write(self, memory: Memory) -> None:
        """Keep it, flushed to the disk."""
