"""A world in memory: servers, a router and a folder that can fail, or be the last thing that a step sees."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ci.errors import StepError, Unavailable
from ci.params_environments import Environment, Strategy
from ci.rollout.engine import Environments
from ci.rollout.interface import Answer, Question, Verdict
from ci.rollout.router import Cluster, Routes, version_of
from ci.rollout.router import routes as document
from ci.rollout.state import Instance, State
from ci.rollout.targets import PlaceTaken, Seen
from tests.releases import release

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ci.releases.record import Release


class Killed(BaseException):
    """SIGKILL: nothing of the step runs any more."""


@dataclass
class World:
    """What outlives a step; `die_at` counts calls that change something, `refuse` names calls that fail."""

    state: str | None = None
    servers: dict[str, tuple[str, int]] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=dict)
    wish: Routes | None = None
    up: bool = False
    taken: set[int] = field(default_factory=set)
    restarts: dict[str, int] = field(default_factory=dict)
    unhealthy: set[str] = field(default_factory=set)
    never_ready: set[str] = field(default_factory=set)
    refuse: dict[str, StepError] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    die_at: int | None = None
    dead: bool = False
    beat: datetime | None = None
    asked: str | None = None
    clock: datetime = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    ports: int = 30000

    def does(self, what: str) -> None:
        """Note a change, or die instead."""
        if self.dead or len(self.done) == self.die_at:
            self.dead = True
            raise Killed
        if what in self.refuse:
            raise self.refuse[what]
        self.done.append(what)

    def open(self, **settings: Any) -> Environments:
        """Come as another agent."""
        self.dead, self.die_at, self.done = False, None, []
        given = Environment(name="staging", **{"ready_s": 0.05, "lease_s": 60, "instances": 2, **settings})
        blank = State(project="flights", environment="staging", door=8080, admin=8081)
        return Environments(given, Servers(self), Envoy(self), Folder(self), lambda: blank, clock=lambda: self.clock)

    def answering(self) -> dict[str, int]:
        """Return hundredths of a percent per cluster; every server that is listed for one of them must live."""
        assert self.wish is not None
        for share in self.wish.shares:
            if share.hundredths:
                assert self.listed[share.cluster], share
                assert set(self.listed[share.cluster]) <= set(self.servers)
        return {share.cluster: share.hundredths for share in self.wish.shares if share.hundredths}


@dataclass
class Servers:
    """A target."""

    world: World

    def prepare(self, record: Release) -> None:
        if "prepare" in self.world.refuse:
            raise self.world.refuse["prepare"]

    def place(self, taken: Collection[tuple[str, int]]) -> tuple[str, int]:
        self.world.ports += 1
        return "127.0.0.1", self.world.ports

    def start(self, record: Release, instance: Instance) -> None:
        if instance.id in self.world.servers:
            return
        if instance.port in self.world.taken:
            raise PlaceTaken(instance)
        self.world.does("start")
        self.world.servers[instance.id] = (record.version, instance.port)

    def running(self) -> Mapping[str, Seen]:
        return {name: Seen(alive=True, restarts=self.world.restarts.get(name, 0)) for name in self.world.servers}

    def ready(self, record: Release, instance: Instance) -> bool:
        return self.world.servers.get(instance.id) == (record.version, instance.port) and (
            record.version not in self.world.never_ready
        )

    def stop(self, ids: Collection[str], patience_s: float) -> None:
        for name in ids:
            self.world.does("stop")
            if self.world.servers.pop(name, None) is None:
                continue
            for listed in self.world.listed.values():
                assert name not in listed, "a server was stopped that Envoy still lists"

    def tail(self, instance: str) -> str:
        return "said nothing"

    def forget(self, keep: Collection[str]) -> None:
        pass


@dataclass
class Envoy:
    """A router."""

    world: World
    address: str = "http://127.0.0.1:8080"
    admin: str = "http://127.0.0.1:8081"

    def check(self, clusters: Sequence[Cluster], routes: Routes) -> None:
        pass

    def up(self) -> None:
        if not self.world.up:
            self.world.does("up")
            self.world.up = True

    def clusters(self, clusters: Sequence[Cluster]) -> None:
        self.world.does("clusters")
        self.world.listed = {item.name: [one.id for one in item.instances] for item in clusters}

    def routes(self, routes: Routes) -> None:
        self.world.does("routes")
        self.world.wish = routes

    def healthy(self, cluster: str) -> int:
        sound = self.world.servers.keys() - self.world.unhealthy
        return len([name for name in self.world.listed.get(cluster, []) if name in sound])

    def holds(self) -> tuple[str, str] | None:
        return ("", version_of(document(self.world.wish))) if self.world.up and self.world.wish else None

    def down(self) -> None:
        self.world.does("down")
        self.world.up, self.world.wish, self.world.listed = False, None, {}


@dataclass
class Folder:
    """A store."""

    world: World

    def read(self) -> State | None:
        return State.model_validate_json(self.world.state) if self.world.state else None

    def write(self, state: State) -> None:
        found = self.read()
        if (found.generation if found else 0) + 1 != state.generation:
            raise Unavailable("somebody else wrote in between")
        self.world.does("write")
        kept = state.model_dump(mode="json")  # in the order of the alphabet, as files are
        kept["weights"] = dict(sorted(kept["weights"].items()))
        kept["fleets"] = dict(sorted(kept["fleets"].items()))
        self.world.state = State.model_validate(kept).model_dump_json()

    @contextmanager
    def hold(self, who: str) -> Iterator[None]:
        self.world.asked = None
        self.world.beat = self.world.clock
        yield

    def held_by(self) -> str | None:
        return None

    def silent_s(self) -> float | None:
        return abs((self.world.clock - self.world.beat).total_seconds()) if self.world.beat else None

    def ask_to_stop(self, who: str) -> None:
        self.world.asked = who

    def asked_to_stop(self) -> str | None:
        return self.world.asked


class Says:
    """A verifier with a fixed opinion; `meanwhile` happens while it looks."""

    def __init__(self, answer: Answer = Answer.NOT_WORSE, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.answer, self.meanwhile = answer, meanwhile

    def verify(self, question: Question) -> Verdict:
        self.meanwhile()
        return Verdict(self.answer, "as told")


def strategy(kind: str) -> Strategy:
    """Make a strategy without pauses."""
    return Strategy(kind=kind, steps=[{"weight": 10}, {"weight": 50}])  # type: ignore[arg-type, list-item]


def later(world: World, **span: float) -> None:
    """Let time pass, or go back."""
    world.clock += timedelta(**span)


V1, V2, V3 = release("1.0.0"), release("1.1.0"), release("1.2.0")
