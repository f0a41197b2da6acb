"""What tests of ledger, promotion and rollback share: releases, a ledger in memory, an environment in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from ci.errors import BadInput, Outcome, Unavailable
from ci.ledger.chain import history_of
from ci.ledger.event import Draft, Event, Kind, drafted, moment_of, spelled
from ci.ledger.interface import Quicker
from ci.ledger.tags import Tag, message_of, name_of
from ci.promotion.interface import Waiting
from ci.releases.record import GateEvidence, Packaged, Release
from ci.rollout.interface import Actual, Moved

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
SEEN = {"verification": "e" * 64}


def bundle(name):
    """Name a bundle's digest after something."""
    return sha256(name.encode()).hexdigest()


def release(version, champion=None, *, project="flights", outcome="passed", **changes):
    """Make a release's record; its bundle is named after its version, so is its champion."""
    gate = GateEvidence(outcome=outcome, report="f" * 64, champion=bundle(champion) if champion else None)
    packaged = Packaged(repository=f"slipway/{project}", digest=f"sha256:{bundle('image' + version)}", size=1)
    given = {"project": project, "version": version, "bundle": bundle(version), "data_version": "d1", "recipe": "b" * 64,
             "gate": gate, "packagings": {"service": packaged}, "key": "a" * 64}  # fmt: skip
    return Release(**{**given, **changes})


class Clock:
    """A clock that moves when told to, and a second whenever it is looked at."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now

    def go(self, **span):
        """Let time pass."""
        self.now += timedelta(**span)


def git_id(text):
    """Name an object after its text."""
    return sha256(text.encode()).hexdigest()[:40]


@dataclass
class MemoryLedger:
    """The ledger's rules without Git: the same tags, in a list."""

    clock: Clock = field(default_factory=Clock)
    tags: list = field(default_factory=list)
    head: dict = field(default_factory=dict)
    silent: bool = False
    place: str = "memory"

    def history(self, project, *, offline=False):
        """Read everything."""
        if self.silent and not offline:
            raise Unavailable("origin: does not answer")
        found = [tag for tag in self.tags if tag.name.startswith((f"{project}@", f"{project}#"))]
        return history_of(project, found, self.head.get(project))

    def register(self, record, by):
        """Give a release its tag."""
        there = self.history(record.project).trusted().registered(record.version)
        if there is None:
            there = self._put(drafted(record, kind=Kind.REGISTERED, actor=by.actor, record=record), git_id(record.name))
        if there.release != record.digest:
            raise BadInput(f"{record.name}: is there already")
        return there

    def add(self, draft, seen=None):
        """Put an event last."""
        history = self.history(draft.project).trusted()
        live = history.live(draft.environment) if draft.environment else None
        before = seen.live(draft.environment) if seen else live
        if getattr(live, "number", None) != getattr(before, "number", None):
            raise Quicker(f"{draft.environment}: somebody else was quicker: {live.name}")
        there = history.registered(draft.version)
        if there is None:
            raise BadInput(f"{draft.name}: not in the ledger")
        return self._put(draft, there.commit)

    def _put(self, draft, commit):
        history = self.history(draft.project)
        at = self.clock()
        if history.events:
            at = max(at, moment_of(history.events[-1].at) + timedelta(seconds=1))
        values = {name: getattr(draft, name) for name in Draft.model_fields}
        event = Event(**values, number=len(history.events) + 1, previous=history.tip, commit=commit, at=spelled(at))
        text = message_of(event)
        self.tags.append(Tag(name_of(event), git_id(text), commit, text))
        self.head[draft.project] = git_id(text)
        return event

    def did(self, kind, version, environment=None, *, project="flights", actor="ann", **more):
        """Put an event about a registered release."""
        record = self.history(project, offline=True).release(version)
        return self.add(drafted(record, kind=kind, environment=environment, actor=actor, **more))

    def live(self, version, environment, *, verified=True, **more):
        """Let a release become live."""
        return self.did(
            Kind.ASSIGNED, version, environment, how="promoted", verified=verified,
            evidence=SEEN if verified else {}, **more,
        )  # fmt: skip


@dataclass
class MemoryRunning:
    """One project in one environment, in memory; `ends` says how the next movement ends."""

    live: str | None = None
    ends: Outcome = Outcome.PASSED
    held_by: str | None = None
    silent: bool = False
    drift: list = field(default_factory=list)
    moves: list = field(default_factory=list)
    during: object = None
    resumes: bool = False

    def actual(self):
        """Look at what runs."""
        if self.silent:
            raise Unavailable("the router does not answer")
        weights = {self.live: 100.0} if self.live else {}
        return Actual(self.live, weights, held_by=self.held_by, drift=tuple(self.drift))

    def glance(self):
        """Look at it quickly."""
        return self.actual()

    def roll_out(self, record, strategy, verifier, who):
        """Move traffic to a release."""
        return self._move(record, who, "roll out")

    def roll_back(self, record, who):
        """Move all traffic back."""
        return self._move(record, who, "roll back")

    def _move(self, record, who, what):
        if self.held_by and not self.resumes:
            raise Unavailable(f"production: {self.held_by} holds a rollout")
        former = self.live
        self.moves.append((what, record.version, who))
        if self.during:
            self.during()
        if self.ends is Outcome.PASSED:
            self.live = record.version
            return Moved(self.ends, "not worse", self.live, former, evidence=SEEN)
        if self.ends is Outcome.NOT_RESTORED:
            return Moved(self.ends, "the former release does not come up", None, former)
        return Moved(self.ends, "worse: errors 12 % against 0.1 %", former, former, evidence=SEEN)


@dataclass
class MemoryQueue:
    """A queue in memory; `full` refuses to keep."""

    kept: dict = field(default_factory=dict)
    full: bool = False
    place: str = "the environment"

    def put(self, waiting: Waiting):
        """Keep one."""
        if self.full:
            raise Unavailable("no space left on the device")
        self.kept[waiting.key] = waiting

    def drop(self, key):
        """Forget one."""
        self.kept.pop(key, None)

    def waiting(self):
        """List them."""
        return [self.kept[key] for key in sorted(self.kept)]


@dataclass
class MemorySignatures:
    """Whoever knows by whose key a release is known."""

    why: str | None = None

    def why_not(self, record):
        """Say what speaks against it."""
        return self.why
