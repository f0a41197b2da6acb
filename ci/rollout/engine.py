"""
Rollouts: a persisted plan, one transition at a time, each written before it is carried out.

Whoever comes after a crash reads the state, makes reality match it (`converge`) and goes on (`walk`), or back (`moves`).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.rollout.converge import clusters, routes
from ci.rollout.drift import drift
from ci.rollout.holding import interrupting
from ci.rollout.interface import Actual, Moved, Question
from ci.rollout.moves import Moves
from ci.rollout.state import Rollout, State, now, seconds_since, utc
from ci.rollout.strategies import stages
from ci.rollout.walk import Walk, arm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ci.params_environments import Environment, Strategy
    from ci.releases.record import Release
    from ci.rollout.interface import Verifier
    from ci.rollout.targets import Router, StateStore, Target


class Environments:
    """One project in one environment; satisfies `ci.rollout.interface.Running`."""

    def __init__(
        self,
        environment: Environment,
        target: Target,
        router: Router,
        store: StateStore,
        blank: Callable[[], State],
        say: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], datetime] = utc,
    ) -> None:
        """Take the doors to the world; `blank` makes the first state."""
        self._moves = Moves(environment, target, router, store, blank, clock)
        self._walk = Walk(self._moves, say)

    def actual(self) -> Actual:
        """Look at what runs; nothing is changed."""
        state = self._moves.store.read()
        return self._told(state, drift(state, self._moves.target, self._moves.router)) if state else Actual(None)

    def glance(self) -> Actual:
        """Look at the state alone: what a rollback needs to know before it moves."""
        state = self._moves.store.read()
        return self._told(state, []) if state else Actual(None)

    def _told(self, state: State, found: Sequence[str]) -> Actual:
        held = self._moves.store.held_by()
        if held is None and state.rollout is not None:
            rest = state.rollout.held or "its runner vanished"
            held = f"{state.rollout.who} since {state.rollout.since} ({rest})"
        warm = [version for version in state.fleets if version not in state.serving()]
        return Actual(state.live, state.weights, warm, self._moves.router.address, held, found)

    def question(self) -> Question | None:
        """Ask what may be asked of what runs now: of a candidate on its way in, else of the live release alone."""
        state = self._moves.store.read()
        if state is None or (state.live is None and state.rollout is None):
            return None
        rollout, baseline = state.rollout, None
        candidate = rollout.candidate if rollout else str(state.live)
        if rollout and rollout.baseline in state.fleets:
            baseline = arm(state, rollout.baseline)
        return Question(
            state.project, state.environment, arm(state, candidate), baseline, state.weights.get(candidate, 0.0), now(),
            self._moves.router.admin, self._moves.router.address, shadow=state.mark(),
            restarts=self._moves.restarts(state, candidate),
        )  # fmt: skip

    def roll_out(self, release: Release, strategy: Strategy, verifier: Verifier, who: str) -> Moved:
        """Move traffic to a release; see `ci.rollout.interface.Running`."""
        with self._moves.store.hold(who):
            state = self._settled(self._moves.read(), release.version, who)
            self._same(state, release)
            if state.rollout is None and state.live == release.version:
                self._moves.converge(state)
                return Moved(Outcome.PASSED, f"{release.name} is live already", state.live, state.former)
            if state.rollout is None:
                state = self._begin(state, release, strategy, who)
            return self._walk(state, verifier)

    def roll_back(self, release: Release, who: str) -> Moved:
        """Move all traffic to a release that ran here; see `ci.rollout.interface.Running`."""
        with interrupting(self._moves.store, who):
            state = self._moves.read()
            self._same(state, release)
            if state.rollout:
                state = self._moves.undone(state, f"{who} rolls back")
            if state.live == release.version:
                self._moves.converge(state)
                return Moved(Outcome.PASSED, f"{release.name} is live already", state.live, state.former)
            leaves = state.live
            state = self._grown(state, release)
            try:
                state = self._moves.ready(state, release.version)  # before any traffic moves
            except StepError:
                self._moves.retire(state, release.version)
                raise
            state = self._moves.finished(state, release.version, leaves, who, "rolled back")
            try:
                self._moves.converge(state, started=True)
            except StepError as error:
                return Moved(Outcome.NOT_RESTORED, f"{release.name}: {error}", leaves, leaves)
            return Moved(Outcome.PASSED, f"{release.name} is live again", release.version, leaves)

    def abort(self, who: str) -> Moved:
        """End a rollout, whoever's it is: all traffic back to the live release."""
        with interrupting(self._moves.store, who):
            state = self._moves.read()
            if state.rollout is None:
                self._moves.converge(state)
                return Moved(
                    Outcome.PASSED, f"no rollout to abort; live is {state.live or 'nothing'}", state.live, None
                )
            gone = state.rollout.candidate
            return self._moves.back(state, f"aborted by {who}", gone)

    def reconcile(self, who: str) -> Moved:
        """Undo what a vanished runner left, start what died, stop what is cold."""
        if (state := self._moves.store.read()) is None:
            return Moved(Outcome.PASSED, "nothing was ever deployed here", None, None)
        if (found := self._left(state)) and not self._expired(found):  # before `hold`, which is a sign of life itself
            return Moved(Outcome.PASSED, f"{found.candidate}: its runner may still come back", state.live, None)
        with self._moves.store.hold(who):  # whoever holds it is alive, and looks after it
            before, state = state, self._moves.read()
            if left := self._left(state):
                if state.generation != before.generation:
                    return Moved(Outcome.PASSED, f"{left.candidate}: moved a moment ago", state.live, None)
                return self._moves.back(state, "its runner vanished", left.candidate)
            state = self._moves.converge(self._moves.cooled(state))
            self._moves.target.forget([fleet.release.bundle for fleet in state.fleets.values()])
            return Moved(Outcome.PASSED, f"live is {state.live or 'nothing'}", state.live, state.former)

    def stop(self, who: str) -> Moved:
        """Stop everything that state says was started here, and remember that nothing is live."""
        with interrupting(self._moves.store, who):
            state = self._moves.store.read()
            if state is None:
                return Moved(Outcome.PASSED, "nothing runs", None, None)
            empty = state.but(fleets={}, live=None, former=None, weights={}, mirror=0.0, sticky=None, rollout=None)
            self._moves.router.down()
            self._moves.target.stop(list(self._moves.target.running()), 25.0)
            self._moves.write(empty.noting(who, "stopped"))
            return Moved(Outcome.PASSED, "stopped", None, state.live)

    def _grown(self, state: State, release: Release) -> State:
        """Write that a release has all its servers; where it has, as one that was kept warm, there is nothing to write."""
        grown = self._moves.grown(state, release, self._moves.environment.instances)
        before = state.fleets.get(release.version)
        there = before is not None and before.instances == grown.fleets[release.version].instances
        return state if there else self._moves.write(grown)

    def _same(self, state: State, release: Release) -> None:
        fleet = state.fleets.get(release.version)
        if fleet and fleet.release.digest != release.digest:
            raise BadInput(f"{release.name}: runs here with another digest ({fleet.release.digest[:12]})")

    def _settled(self, state: State, version: str, who: str) -> State:
        """Return a state without anybody else's rollout: what rests stays its owner's, what was left is undone."""
        rollout = state.rollout
        if rollout is None or (rollout.candidate == version and not rollout.returning):
            return state
        if rollout.held and not rollout.returning:
            raise Unavailable(f"{rollout.candidate}: held by {rollout.who} since {rollout.since}: {rollout.held}",
                              hint="steps.abort ends it; deploying the same release again goes on with it")  # fmt: skip
        return self._moves.undone(state, f"left behind; {who} deploys {version}")

    def _begin(self, state: State, release: Release, strategy: Strategy, who: str) -> State:
        plan = stages(strategy, self._moves.environment.instances, first=state.live is None)
        rollout = Rollout(
            id=secrets.token_hex(4), who=who, since=now(), strategy=strategy, candidate=release.version,
            baseline=state.live, stages=plan, stage_since=now(),
        )  # fmt: skip
        self._moves.target.prepare(release)
        grown = self._moves.grown(state, release, plan[0].candidate).but(rollout=rollout)
        self._moves.router.check(clusters(grown, leaving=True), routes(grown))
        return self._moves.write(grown.noting(who, f"{strategy.kind} of {release.version} begins"))

    def _left(self, state: State) -> Rollout | None:
        """Return a rollout that somebody has to be at work on; one that rests has nobody, and needs nobody."""
        rollout = state.rollout
        return rollout if rollout and (rollout.held is None or rollout.returning) else None

    def _expired(self, rollout: Rollout) -> bool:
        """Whether its runner has been silent for longer than its lease; without a last sign of life, its stage is."""
        silent = self._moves.store.silent_s()
        if silent is None:
            silent = abs(seconds_since(rollout.stage_since or rollout.since, self._moves.clock))
        return rollout.returning is not None or silent > self._moves.environment.lease_s
