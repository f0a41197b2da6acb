"""Movements that rollouts, rollbacks and reconciliation share: each is written before it is carried out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ci.errors import Outcome, StepError, Unavailable
from ci.rollout.converge import Converger, placer, sized
from ci.rollout.interface import Moved
from ci.rollout.state import Fleet, Rollout, State, seconds_since, utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ci.params_environments import Environment
    from ci.releases.record import Release
    from ci.rollout.interface import Verdict
    from ci.rollout.targets import Router, StateStore, Target

RETURN_SHARES = (25.0, 50.0, 75.0)
RETURN_PAUSE_S = 0.5


class Moves:
    """One project in one environment, and the doors to the world."""

    def __init__(
        self,
        environment: Environment,
        target: Target,
        router: Router,
        store: StateStore,
        blank: Callable[[], State],
        clock: Callable[[], datetime] = utc,
    ) -> None:
        """Take the doors; `blank` makes the first state."""
        self.environment, self.target, self.router, self.store = environment, target, router, store
        self.clock, self._blank = clock, blank
        self.converge = Converger(target, router, store, environment)

    def read(self) -> State:
        """Return the state, the first one if there never was any."""
        return self.store.read() or self.write(self._blank())

    def write(self, state: State) -> State:
        """Make it the next state; return it as it was written."""
        state = state.but(generation=state.generation + 1)
        self.store.write(state)
        return state

    def restarts(self, state: State, version: str) -> dict[str, int]:
        """Return how often each server of a release had to be started again, because it ended by itself."""
        seen = self.target.running()
        return {item.id: seen[item.id].restarts for item in state.fleets[version].instances if item.id in seen}

    def grown(self, state: State, release: Release, wanted: int) -> State:
        """Return a state in which a release has as many servers as wanted."""
        fleet = state.fleets.get(release.version) or Fleet(release=release)
        found = sized(fleet.model_copy(update={"warm_until": None}), wanted, placer(state, self.target))
        return state.with_fleet(found)

    def finished(self, state: State, live: str, former: str | None, who: str, what: str) -> State:
        """Write that a release is live; its predecessor stays warm, whatever else runs leaves."""
        until = (self.clock() + timedelta(seconds=self.environment.keep_warm_s)).isoformat()
        for version, fleet in list(state.fleets.items()):
            if version == live:
                state = state.with_fleet(fleet.model_copy(update={"warm_until": None}))
            elif version == former and self.environment.keep_warm_s and fleet.instances:
                state = state.with_fleet(fleet.model_copy(update={"warm_until": until}))
            else:
                state = state.with_fleet(sized(fleet, 0, lambda same: same))
        done = state.but(live=live, former=former, weights={live: 100.0}, mirror=0.0, sticky=None, rollout=None)
        return self.write(done.noting(who, f"{live} {what}"))

    def back(self, state: State, why: str, gone: str, verdict: Verdict | None = None) -> Moved:
        """Undo a rollout, and say how that ended."""
        extra = (verdict.checks, verdict.evidence) if verdict else ((), {})
        try:
            state = self.undone(state, why)
        except StepError as error:
            return Moved(
                Outcome.NOT_RESTORED, f"{state.project}@v{gone}: {why}; and back: {error}", state.live, None, *extra
            )
        there = f"{state.live} is live again" if state.live else "nothing is live, as before"
        return Moved(Outcome.ROLLED_BACK, f"{state.project}@v{gone}: {why}; {there}", state.live, gone, *extra)

    def undone(self, state: State, why: str) -> State:
        """Return traffic to the baseline: first its servers, then its weight, then the candidate leaves."""
        rollout = rollout_of(state)
        marked = rollout.model_copy(update={"returning": why})
        state = state.but(rollout=marked)
        if rollout.baseline and (fleet := state.fleets.get(rollout.baseline)):
            small = len(fleet.instances) < self.environment.instances
            state = self.write(state.with_fleet(sized(fleet, self.environment.instances, placer(state, self.target))))
            state = self.ready(state, rollout.baseline)
            state = self._warmed(state, rollout) if small else state
        weights = {rollout.baseline: 100.0} if rollout.baseline else {}
        for version in [v for v in state.fleets if v == rollout.candidate]:
            state = state.with_fleet(sized(state.fleets[version], 0, lambda same: same))
        state = state.but(weights=weights, mirror=0.0, sticky=None, rollout=None)
        return self.converge(self.write(state.noting(rollout.who, f"{rollout.candidate} undone: {why}")))

    def _warmed(self, state: State, rollout: Rollout) -> State:
        """Return traffic by and by to servers that were started a moment ago."""
        baseline = str(rollout.baseline)
        for share in RETURN_SHARES:
            if share > state.weights.get(baseline, 0):
                state = self.write(state.but(weights={baseline: share, rollout.candidate: 100 - share}))
                state = self.converge(state)
                time.sleep(RETURN_PAUSE_S)
        return state

    def ready(self, state: State, version: str) -> State:
        """
        Have a release's servers up, while traffic stays where it is.

        Raises:
            NotReady: one does not become ready in time.
        """
        return self.converge.start(state, [version])

    def retire(self, state: State, version: str) -> None:
        """Stop a release that gets no traffic."""
        self.converge(self.write(state.with_fleet(sized(state.fleets[version], 0, lambda same: same))))

    def cooled(self, state: State) -> State:
        """Write that releases whose time to stay warm is over leave."""
        for version, fleet in list(state.fleets.items()):
            if fleet.warm_until is None or version in state.serving():
                continue
            left = -seconds_since(fleet.warm_until, self.clock)
            if left <= 0 or left > self.environment.keep_warm_s + 60:  # the clock was set back
                state = self.write(
                    state.with_fleet(sized(fleet, 0, lambda same: same)).noting("reconcile", f"{version} is cold")
                )
        return state


def rollout_of(state: State) -> Rollout:
    """
    Return the rollout that is under way.

    Raises:
        Unavailable: there is none any more.
    """
    if state.rollout is None:
        raise Unavailable("the rollout is gone", hint="run it again")
    return state.rollout
