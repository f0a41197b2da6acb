"""What rollouts ask of others and give to others; implementations live in this folder and in ci/adapters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.errors import Outcome
    from ci.params_environments import Strategy
    from ci.releases.record import Release
    from ci.report import Check


class Answer(StrEnum):
    """What verification says of a candidate under traffic; only NOT_WORSE lets a rollout go on."""

    NOT_WORSE = "not worse"
    WORSE = "worse"
    NOT_ENOUGH = "not enough evidence"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Arm:
    """One release under traffic: how it is named where traffic is counted, and where its servers listen."""

    release: Release
    cluster: str
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class Question:
    """
    May the candidate have more? `weight` (percent) holds since `since` (UTC, ISO 8601); no baseline at first.

    `spends` is the part of the policy's alpha that this question may use up: a rollout asks several. `shadow` is the mark
    of requests of which the candidate gets copies (`ci.rollout.pairs`); empty where it gets none. `restarts`: how often each of
    its servers was started again because it ended by itself, where somebody watches it from look to look.
    """

    project: str
    environment: str
    candidate: Arm
    baseline: Arm | None
    weight: float
    since: str
    admin: str
    door: str
    spends: float = 1.0
    shadow: str = ""
    restarts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer with its evidence; `evidence` maps names to sha256 digests of stored files."""

    answer: Answer
    message: str
    checks: Sequence[Check] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)


class Verifier(Protocol):
    """Looks at a candidate under traffic; touches nothing."""

    def verify(self, question: Question) -> Verdict:
        """
        Look until there is an answer, or until its own deadline: then NOT_ENOUGH.

        Raises:
            Unavailable: what should be asked does not answer.
        """


@dataclass(frozen=True, slots=True)
class Actual:
    """What runs now; `weights` (percent) by version, and who holds a rollout since when, if anybody."""

    live: str | None
    weights: Mapping[str, float] = field(default_factory=dict)
    warm: Sequence[str] = ()
    door: str | None = None
    held_by: str | None = None
    drift: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """How a movement of traffic ended: PASSED, INCONCLUSIVE (held), ROLLED_BACK or NOT_RESTORED."""

    outcome: Outcome
    message: str
    live: str | None
    former: str | None
    checks: Sequence[Check] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)


class Running(Protocol):
    """One project in one environment: all that promotion and rollback need of it."""

    def actual(self) -> Actual:
        """Look at what runs; nothing is changed."""

    def glance(self) -> Actual:
        """Look at what is meant to run and who holds it, at no server: quick; `drift` stays empty."""

    def roll_out(self, release: Release, strategy: Strategy, verifier: Verifier, who: str) -> Moved:
        """
        Move traffic to a release under a strategy; on a bad verdict, back.

        Raises:
            Unavailable: somebody else holds a rollout here, or what is needed does not answer.
            BadInput: the release cannot be had or does not become ready; nothing was changed for callers.
        """

    def roll_back(self, release: Release, who: str) -> Moved:
        """Move all traffic to a release that ran here, warm if it still is, started again if not."""
