"""Make reality match the state, in the one order in which no request is lost. Idempotent: it starts from anywhere."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from ci.errors import BadInput, Unavailable
from ci.rollout.router import Cluster, Routes, Share, shares
from ci.rollout.state import Fleet, Instance, State, cluster_of
from ci.rollout.targets import PlaceTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ci.params_environments import Environment
    from ci.rollout.targets import Router, StateStore, Target

POLL_S = 0.05
AGAIN_S = 1.0
HEALTHY_S = 10.0
DRAIN_S = 25.0


class NotReady(BadInput):
    """A server did not become ready in time."""


class Converger:
    """Start what is missing, wait, let traffic follow, stop what is left over."""

    def __init__(self, target: Target, router: Router, store: StateStore, environment: Environment) -> None:
        """Take the doors to the world."""
        self._target, self._router, self._store, self._environment = target, router, store, environment

    def __call__(self, state: State, *, stop: Callable[[], None] = lambda: None, started: bool = False) -> State:
        """
        Make it so; return the state without what left. With `started`, all servers were found ready a moment ago.

        Raises:
            NotReady: a server that gets traffic does not become ready.
            Unavailable: Envoy or the target does not answer.
        """
        if not started:
            needed = {*state.serving(), *([state.rollout.candidate] if state.rollout else [])}
            state = self.start(state, needed, stop)
        self._router.clusters(clusters(state, leaving=True))
        self._wait_healthy(state)
        self._router.routes(routes(state))
        return self._clear(state)

    def start(self, state: State, needed: Collection[str], stop: Callable[[], None] = lambda: None) -> State:
        """
        Start all servers and wait for those of some releases; one whose place is taken gets another.

        Raises:
            NotReady: a server that is waited for does not become ready.
        """
        for fleet in state.fleets.values():
            if fleet.instances:
                self._target.prepare(fleet.release)
        deadline = time.monotonic() + self._environment.ready_s
        while True:
            try:
                self._start(state)
                self._router.up()
                self._wait_ready(state, needed, deadline, stop)
            except PlaceTaken as taken:
                if time.monotonic() > deadline:
                    raise
                state = self._elsewhere(state, taken.instance)
            else:
                return state

    def _start(self, state: State) -> None:
        for fleet in state.fleets.values():
            for instance in fleet.instances:
                self._target.start(fleet.release, instance)

    def _wait_ready(self, state: State, needed: Collection[str], deadline: float, stop: Callable[[], None]) -> None:
        again = time.monotonic() + AGAIN_S
        for fleet in [fleet for version, fleet in state.fleets.items() if version in needed]:
            for instance in fleet.instances:
                while not self._target.ready(fleet.release, instance):
                    stop()
                    if time.monotonic() > deadline:
                        said = " ".join(self._target.tail(instance.id).split())[-300:]
                        raise NotReady(f"{fleet.release.name}: not ready after {self._environment.ready_s:g} s: {said}")
                    if time.monotonic() > again:  # somebody may have been quicker at its port
                        again = time.monotonic() + AGAIN_S
                        self._target.start(fleet.release, instance)
                    time.sleep(POLL_S)

    def _elsewhere(self, state: State, taken: Instance) -> State:
        """Give a server another name and place; the old one is taken back."""
        self._target.stop([taken.id], DRAIN_S)
        found = next(fleet for fleet in state.fleets.values() if taken in fleet.instances)
        kept = found.model_copy(update={"instances": [item for item in found.instances if item != taken]})
        moved = state.with_fleet(sized(kept, len(found.instances), placer(state, self._target)))
        moved = moved.noting("rollout", f"{taken.id}: {taken.host}:{taken.port} was taken")
        moved = moved.but(generation=state.generation + 1)
        self._store.write(moved)
        return moved

    def _wait_healthy(self, state: State) -> None:
        deadline = time.monotonic() + HEALTHY_S
        for version in state.serving():
            name, wanted = cluster_of(state.project, version), len(state.fleets[version].instances)
            while self._router.healthy(name) < wanted:
                if time.monotonic() > deadline:
                    raise Unavailable(f"{name}: Envoy finds fewer than {wanted} healthy servers")
                time.sleep(POLL_S)

    def _clear(self, state: State) -> State:
        leaving = {item.id for fleet in state.fleets.values() for item in fleet.leaving}
        wanted = {item.id for fleet in state.fleets.values() for item in fleet.instances}
        strays = set(self._target.running()) - wanted
        needed = {state.live, state.rollout.baseline if state.rollout else None}  # to go back to, even if scaled down
        kept = {v: f.model_copy(update={"leaving": []}) for v, f in state.fleets.items() if f.instances or v in needed}
        after = state.but(fleets=kept)
        if leaving or len(kept) < len(state.fleets):
            self._router.clusters(clusters(after, leaving=False))
        if strays:
            self._target.stop(strays, DRAIN_S)
        if after != state:
            after = after.but(generation=state.generation + 1)
            self._store.write(after)
        return after


def clusters(state: State, *, leaving: bool) -> list[Cluster]:
    """Return every release with its servers, with or without those that are on their way out."""
    return [
        Cluster(
            name=cluster_of(state.project, version),
            version=version,
            instances=[*fleet.instances, *(fleet.leaving if leaving else [])],
        )
        for version, fleet in state.fleets.items()
    ]


def routes(state: State) -> Routes:
    """
    Return who answers what; only releases that have servers can be reached.

    In one order, however the state was read: the candidate is last, so that sticky users keep to their side.
    """
    candidate = state.rollout.candidate if state.rollout else None
    order = sorted(state.fleets, key=lambda version: (version == candidate, version))
    names = {v: cluster_of(state.project, v) for v in order if state.fleets[v].instances}
    weights = {v: state.weights[v] for v in order if v in state.weights}
    mirror = None
    if state.mirror and state.rollout:
        mirror = Share(cluster=names[state.rollout.candidate], hundredths=round(state.mirror * 100))
    found = shares({v: w for v, w in weights.items() if w > 0 or v in names}, names)
    return Routes(project=state.project, shares=found, direct=names, mirror=mirror, mark=state.mark() or None,
                  sticky=state.sticky)  # fmt: skip


def placer(state: State, target: Target) -> Callable[[Fleet], Fleet]:
    """Return what adds one server to a fleet, at a place that nobody else in the state has."""
    taken = state.taken()

    def add(fleet: Fleet) -> Fleet:
        host, port = target.place(taken)
        taken.add((host, port))
        name = f"{cluster_of(state.project, fleet.release.version)}-{secrets.token_hex(4)}"
        made = Instance(id=name, host=host, port=port)
        return fleet.model_copy(update={"instances": [*fleet.instances, made]})

    return add


def sized(fleet: Fleet, wanted: int, add: Callable[[Fleet], Fleet]) -> Fleet:
    """Return a fleet with as many servers as wanted: new ones by `add`, those too many in `leaving`."""
    while len(fleet.instances) < wanted:
        fleet = add(fleet)
    kept, gone = fleet.instances[:wanted], fleet.instances[wanted:]
    return fleet.model_copy(update={"instances": kept, "leaving": [*fleet.leaving, *gone]})
