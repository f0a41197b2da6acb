"""
What an environment is meant to look like: kept with the environment, changed by pure functions, one step at a time.

Each change is written before anything is done about it, so that whoever comes next, after a crash between any two
lines, only has to make reality match it again (`ci.rollout.converge`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from ci.params import Model, Name, ProjectName
from ci.params_environments import Strategy
from ci.releases.record import Release, Version

if TYPE_CHECKING:
    from collections.abc import Callable

InstanceId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}-v\d+-\d+-\d+-[0-9a-f]{8}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[0-9a-f.:]{3,45}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
EVENTS = 100


class Instance(Model):
    """One server: its name, and where it listens as the router sees it."""

    id: InstanceId
    host: Address
    port: Port


class Fleet(Model):
    """The servers of one release; those in `leaving` get no new requests and are stopped next."""

    release: Release
    instances: list[Instance] = Field(default_factory=list)
    leaving: list[Instance] = Field(default_factory=list)
    warm_until: str | None = Field(None, description="Kept up without traffic until then (UTC); null while in use.")


class Stage(Model):
    """One stage of a rollout; numbers of instances that the two releases have while it lasts."""

    weight: float = Field(ge=0, le=100, description="Share of requests that the candidate answers, percent.")
    mirror: float = Field(0, ge=0, le=100, description="Share of requests that it gets a copy of, percent.")
    candidate: int = Field(ge=1, le=64)
    baseline: int = Field(ge=0, le=64)
    pause_s: float = Field(0, ge=0)
    ask: bool = Field(True, description="Verification is asked before the next stage.")
    stays: bool = Field(False, description="The rollout rests here until it is told to end.")


class Rollout(Model):
    """One release on its way in; `at` is the stage whose weight holds (-1: the candidate is being started)."""

    id: str
    who: str
    since: str
    strategy: Strategy
    candidate: Version
    baseline: Version | None = None
    stages: list[Stage] = Field(min_length=1)
    at: int = -1
    stage_since: str = ""
    asked: int = Field(0, ge=0, description="Questions put to verification so far: each may spend less of alpha.")
    held: str | None = Field(None, description="Why it rests with nobody at work on it; null while it moves.")
    returning: str | None = Field(None, description="Why it is being undone; null while it goes on.")


class Event(Model):
    """Something that happened, for whoever asks later."""

    at: str
    who: str
    what: str


class State(Model):
    """One project in one environment."""

    schema_version: Literal[1] = 1
    generation: int = Field(0, ge=0)
    project: ProjectName
    environment: Name
    door: Port
    admin: Port
    fleets: dict[Version, Fleet] = Field(default_factory=dict)
    live: Version | None = None
    former: Version | None = None
    weights: dict[Version, float] = Field(default_factory=dict)
    mirror: float = 0
    sticky: str | None = Field(None, description="Header that names the user, while an A/B test runs.")
    rollout: Rollout | None = None
    events: list[Event] = Field(default_factory=list)

    def but(self, **changes: object) -> State:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)

    def noting(self, who: str, what: str) -> State:
        """Return a copy that remembers an event; the oldest are forgotten."""
        return self.but(events=[*self.events, Event(at=now(), who=who, what=what)][-EVENTS:])

    def with_fleet(self, fleet: Fleet) -> State:
        """Return a copy with the servers of one release replaced."""
        return self.but(fleets={**self.fleets, fleet.release.version: fleet})

    def taken(self) -> set[tuple[str, int]]:
        """Return the addresses that are spoken for."""
        found = {(item.host, item.port) for fleet in self.fleets.values() for item in fleet.instances + fleet.leaving}
        return found | {("127.0.0.1", self.door), ("127.0.0.1", self.admin)}

    def mark(self) -> str:
        """Return what requests bear of which the candidate gets copies; empty where none are sent."""
        return self.rollout.id if self.rollout and self.mirror else ""

    def serving(self) -> list[str]:
        """Return the versions that get requests or copies of them."""
        shadow = [self.rollout.candidate] if self.rollout and self.mirror else []
        return [version for version, weight in self.weights.items() if weight > 0] + shadow


def now() -> str:
    """Return this moment, UTC, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def utc() -> datetime:
    """Return this moment: the clock of whoever is given no other."""
    return datetime.now(UTC)


def seconds_since(moment: str, clock: Callable[[], datetime] = utc) -> float:
    """Return how long ago a moment was; negative when the clock was set back since."""
    return (clock() - datetime.fromisoformat(moment)).total_seconds()


def cluster_of(project: str, version: str) -> str:
    """Name a release where traffic is counted: no dots, because statistics are split at them."""
    return f"{project}-v{version.replace('.', '-')}"
