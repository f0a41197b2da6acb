"""`environments` in params.yaml: where releases run, how they get there and who has to agree."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ci.params import Model, Name, ProjectName
from ci.params_verification import Verification


class ProcessTarget(Model):
    """Servers as processes of this machine: the embedded default; no Docker."""

    kind: Literal["process"] = "process"


class DockerTarget(Model):
    """Containers of a Docker engine, local or remote."""

    kind: Literal["docker"]
    host: str | None = Field(
        None, pattern=r"^(unix|ssh|tcp)://\S{1,250}$",
        description="The engine's address, such as ssh://… or tcp://…; DOCKER_HOST if null.",
    )  # fmt: skip
    prefix: Name = Field("slipway", description="Begins the name of everything made there: apart for each team.")
    address: str = Field(
        "127.0.0.1", pattern=r"^\d{1,3}(\.\d{1,3}){3}$",
        description="Address of the engine's machine on which front doors are published.",
    )  # fmt: skip
    subnet: str | None = Field(
        None, pattern=r"^\d{1,3}(\.\d{1,3}){3}/(1[6-9]|2[0-6])$",
        description="Addresses of one environment's containers; the engine picks some if null.",
    )  # fmt: skip
    memory_mb: int = Field(512, ge=64, description="Memory limit of a server, megabytes.")
    cpus: float = Field(1.0, gt=0, description="Processor limit of a server, cores.")


Target = Annotated[ProcessTarget | DockerTarget, Field(discriminator="kind")]


class CanaryStep(Model):
    """One step of a canary: how much traffic, and how long it is watched."""

    weight: float = Field(gt=0, le=100, description="Share of requests that the candidate gets, percent.")
    pause_s: float = Field(0, ge=0, le=604_800, description="Shortest time at this weight before the next, seconds.")


class Strategy(Model):
    """How traffic moves from the live release to the candidate."""

    kind: Literal["rolling", "blue_green", "canary", "ab", "shadow"] = "blue_green"
    steps: list[CanaryStep] = Field(
        default_factory=lambda: [CanaryStep(weight=w, pause_s=30) for w in (5, 25, 50)],
        description="Weights of a canary, rising; full weight follows by itself.",
    )
    share: float = Field(50, gt=0, lt=100, description="Share of users (ab) or mirrored requests (shadow), percent.")
    user_header: str = Field("x-user-id", pattern=r"^[a-z0-9-]{1,64}$", description="Header that names the user (ab).")

    @model_validator(mode="after")
    def _rises(self) -> Strategy:
        weights = [step.weight for step in self.steps]
        if self.kind == "canary" and (not weights or weights != sorted(set(weights))):
            raise ValueError("steps: weights must rise from step to step")
        return self


class Window(Model):
    """A stretch of time, by weekday and hour or by date, in a time zone."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default_factory=list, description="Weekdays; all if empty."
    )
    hours: tuple[str, str] | None = Field(None, description='From and to, such as ["09:00", "16:00"].')
    dates: tuple[str, str] | None = Field(None, description='First and last day, such as ["2026-12-20", "2027-01-02"].')
    zone: str = Field("UTC", description="IANA time zone, such as Europe/Berlin.")
    why: str = Field("", description="Told to whoever is refused.")


class Approvals(Model):
    """Who has to agree before a release enters."""

    four_eyes: bool = Field(False, description="An approver who is not the requester must be named.")
    valid_hours: float = Field(24, gt=0, description="How long an approval of one release digest holds, hours.")


class Events(Model):
    """Where servers send a sample of their predictions: a collection service."""

    url: str = Field(
        pattern=r"^https?://[^\s@]{1,500}$",
        description="Address to post to: the front door of a collection service, or whatever else takes NDJSON.",
    )
    token_env: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        description="Environment variable that holds the bearer token, where deploys run.",
    )  # fmt: skip
    rate: float = Field(1.0, gt=0, le=1, description="Share of requests that become events.")


class Environment(Model):
    """One environment."""

    name: Name
    target: Target = ProcessTarget()
    root: str = Field(".slipway/environments", description="Folder of its state on the machine that runs its router.")
    ports: dict[ProjectName, int] = Field(
        default_factory=dict, description="Front door of each project; a free port, then kept, where none is named."
    )
    instances: int = Field(1, ge=1, le=64, description="Servers of one release.")
    strategy: Strategy = Strategy()
    keep_warm_s: float = Field(3600, ge=0, description="How long the former release stays up after a rollout, seconds.")
    ready_s: float = Field(60, gt=0, le=3600, description="Longest that a server may take to become ready, seconds.")
    lease_s: float = Field(120, ge=5, description="A rollout whose runner is silent for longer is aborted, seconds.")
    freeze: list[Window] = Field(default_factory=list, description="When nothing enters.")
    windows: list[Window] = Field(default_factory=list, description="When something may enter; always if empty.")
    approvals: Approvals = Approvals()
    verification: Verification = Verification()
    events: Events | None = Field(None, description="Where predictions are sent; nowhere if null.")


def strategy_like(order: list[Environment], name: str, kind: str | None) -> Strategy | None:
    """Return a strategy of another kind with the other settings of an environment's; None where it is the same kind."""
    found = next((item.strategy for item in order if item.name == name), Strategy())
    return None if kind in {None, found.kind} else Strategy.model_validate({**found.model_dump(), "kind": kind})
