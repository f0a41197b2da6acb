"""
Rollouts: a persisted plan, one transition at a time, each written before it is carried out.

Whoever comes after a crash reads the state, makes reality match it (`converge`) and goes on, or back.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.rollout.converge import Converger, NotReady, clusters, routes, sized
from ci.rollout.interface import Actual, Answer, Arm, Moved, Question, Verdict
from ci.rollout.state import Fleet, Instance, Rollout, State, cluster_of, now, seconds_since
from ci.rollout.strategies import stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.params_environments import Environment, Strategy
    from ci.releases.record import Release
    from ci.rollout.interface import Verifier
    from ci.rollout.targets import Router, StateStore, Target

POLL_S = 0.1
STOP_WAIT_S = 90.0
RETURN_SHARES = (25.0, 50.0, 75.0)
RETURN_PAUSE_S = 0.5


class AskedToStop(Exception):  # noqa: N818  # reads as the event that it is
    """Somebody wants the rollout undone."""


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
    ) -> None:
        """Take the doors to the world; `blank` makes the first state."""
        self._environment, self._target, self._router, self._store = environment, target, router, store
        self._blank, self._say = blank, say
        self._converge = Converger(target, router, store, environment)

    # --- looking ---

    def actual(self) -> Actual:
        """Look at what runs; nothing is changed."""
        state = self._store.read()
        if state is None:
            return Actual(None)
        held = self._store.held_by()
        if held is None and state.rollout is not None:
            rest = state.rollout.held or "its runner vanished"
            held = f"{state.rollout.who} since {state.rollout.since} ({rest})"
        warm = [version for version in state.fleets if version not in state.serving()]
        return Actual(state.live, state.weights, warm, self._router.address, held, self._drift(state))

    def question(self) -> Question | None:
        """Ask what may be asked of what runs now: of a candidate on its way in, else of the live release alone."""
        state = self._store.read()
        if state is None or (state.live is None and state.rollout is None):
            return None
        rollout, baseline = state.rollout, None
        candidate = rollout.candidate if rollout else str(state.live)
        if rollout and rollout.baseline in state.fleets:
            baseline = self._arm(state, rollout.baseline)
        return Question(
            state.project, state.environment, self._arm(state, candidate), baseline,
            state.weights.get(candidate, 0.0), now(), self._router.admin, self._router.address,
        )  # fmt: skip

    def _drift(self, state: State) -> list[str]:
        seen, found = self._target.running(), []
        for fleet in state.fleets.values():
            for item in fleet.instances:
                if item.id not in seen or not seen[item.id].alive:
                    found.append(f"{item.id}: does not run")
                elif not self._target.ready(fleet.release, item):
                    found.append(f"{item.id}: not ready")
        known = {item.id for fleet in state.fleets.values() for item in [*fleet.instances, *fleet.leaving]}
        found += [f"{name}: runs, but belongs to nothing" for name in sorted(set(seen) - known)]
        if state.fleets:
            found += self._router_drift(state)
        return found

    def _router_drift(self, state: State) -> list[str]:
        from ci.rollout.router import routes as document
        from ci.rollout.router import version_of

        holds = self._router.holds()
        if holds is None:
            return ["router: down"]
        return [] if holds[1] == version_of(document(routes(state))) else ["router: other weights than intended"]

    # --- moving ---

    def roll_out(self, release: Release, strategy: Strategy, verifier: Verifier, who: str) -> Moved:
        """Move traffic to a release; see `ci.rollout.interface.Running`."""
        with self._store.hold(who):
            state = self._settled(self._read(), release.version, who)
            self._same(state, release)
            if state.rollout is None and state.live == release.version:
                self._converge(state)
                return Moved(Outcome.PASSED, f"{release.name} is live already", state.live, state.former)
            if state.rollout is None:
                state = self._begin(state, release, strategy, who)
            return self._carry_on(state, verifier)

    def roll_back(self, release: Release, who: str) -> Moved:
        """Move all traffic to a release that ran here; see `ci.rollout.interface.Running`."""
        with self._interrupting(who):
            state = self._read()
            self._same(state, release)
            if state.rollout:
                state = self._undone(state, f"{who} rolls back")
            if state.live == release.version:
                self._converge(state)
                return Moved(Outcome.PASSED, f"{release.name} is live already", state.live, state.former)
            leaves = state.live
            state = self._write(self._grown(state, release, self._environment.instances))
            try:
                self._ready(state, release)  # before any traffic moves
            except StepError:
                self._retire(state, release.version)
                raise
            state = self._finished(state, release.version, leaves, who, "rolled back")
            try:
                self._converge(state)
            except StepError as error:
                return Moved(Outcome.NOT_RESTORED, f"{release.name}: {error}", leaves, leaves)
            return Moved(Outcome.PASSED, f"{release.name} is live again", release.version, leaves)

    def abort(self, who: str) -> Moved:
        """End a rollout, whoever's it is: all traffic back to the live release."""
        with self._interrupting(who):
            state = self._read()
            if state.rollout is None:
                self._converge(state)
                return Moved(
                    Outcome.PASSED, f"no rollout to abort; live is {state.live or 'nothing'}", state.live, None
                )
            gone = state.rollout.candidate
            return self._back(state, f"aborted by {who}", gone)

    def reconcile(self, who: str) -> Moved:
        """Undo what a vanished runner left, start what died, stop what is cold."""
        with self._store.hold(who):  # whoever holds it is alive, and looks after it
            state = self._store.read()
            if state is None:
                return Moved(Outcome.PASSED, "nothing was ever deployed here", None, None)
            rollout = state.rollout
            if rollout and (rollout.held is None or rollout.returning):
                if not self._expired(rollout):
                    return Moved(
                        Outcome.PASSED, f"{rollout.candidate}: its runner may still come back", state.live, None
                    )
                return self._back(state, "its runner vanished", rollout.candidate)
            state = self._cooled(state)
            self._converge(state)
            self._target.forget([fleet.release.bundle for fleet in state.fleets.values()])
            return Moved(Outcome.PASSED, f"live is {state.live or 'nothing'}", state.live, state.former)

    def stop(self, who: str) -> Moved:
        """Stop everything that state says was started here, and remember that nothing is live."""
        with self._interrupting(who):
            state = self._store.read()
            if state is None:
                return Moved(Outcome.PASSED, "nothing runs", None, None)
            empty = state.but(fleets={}, live=None, former=None, weights={}, mirror=0.0, sticky=None, rollout=None)
            self._router.down()
            self._target.stop(list(self._target.running()), 25.0)
            self._write(empty.noting(who, "stopped"))
            return Moved(Outcome.PASSED, "stopped", None, state.live)

    # --- transitions ---

    def _read(self) -> State:
        return self._store.read() or self._write(self._blank())

    def _write(self, state: State) -> State:
        state = state.but(generation=state.generation + 1)
        self._store.write(state)
        return state

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
        return self._undone(state, f"left behind; {who} deploys {version}")

    def _begin(self, state: State, release: Release, strategy: Strategy, who: str) -> State:
        plan = stages(strategy, self._environment.instances, first=state.live is None)
        rollout = Rollout(
            id=secrets.token_hex(4), who=who, since=now(), strategy=strategy, candidate=release.version,
            baseline=state.live, stages=plan, stage_since=now(),
        )  # fmt: skip
        self._target.prepare(release)
        grown = self._grown(state, release, plan[0].candidate).but(rollout=rollout)
        self._router.check(clusters(grown, leaving=True), routes(grown))
        return self._write(grown.noting(who, f"{strategy.kind} of {release.version} begins"))

    def _grown(self, state: State, release: Release, wanted: int) -> State:
        fleet = state.fleets.get(release.version) or Fleet(release=release)
        found = sized(fleet.model_copy(update={"warm_until": None}), wanted, self._placer(state))
        return state.with_fleet(found)

    def _placer(self, state: State) -> Callable[[Fleet], Fleet]:
        taken = state.taken()

        def add(fleet: Fleet) -> Fleet:
            host, port = self._target.place(taken)
            taken.add((host, port))
            name = f"{cluster_of(state.project, fleet.release.version)}-{secrets.token_hex(4)}"
            made = Instance(id=name, host=host, port=port)
            return fleet.model_copy(update={"instances": [*fleet.instances, made]})

        return add

    def _carry_on(self, state: State, verifier: Verifier) -> Moved:
        """Go through the stages that are left; on a bad verdict or a wish to stop, back."""
        rollout = self._rollout(state)
        candidate, last = rollout.candidate, Verdict(Answer.NOT_WORSE, "")
        try:
            state = self._converge(self._resumed(state), stop=self._heed)
            while True:
                rollout = self._rollout(state)
                if rollout.at >= 0:
                    last = self._asked(state, verifier)
                    if last.answer is Answer.WORSE:
                        return self._back(state, last.message, candidate, last)
                    if last.answer is not Answer.NOT_WORSE or rollout.stages[rollout.at].stays:
                        return self._rests(state, last)
                if rollout.at + 1 == len(rollout.stages):
                    return self._done(state, last)
                state = self._write(self._at_stage(state, rollout.at + 1))
                state = self._converge(state, stop=self._heed)
                self._say(f"{candidate}: {state.weights.get(candidate, 0):g} % of requests")
        except AskedToStop as wish:
            return self._back(self._read(), f"{wish} asked for it", candidate)
        except NotReady as error:
            moved = self._back(self._read(), str(error), candidate)
            if moved.outcome is Outcome.ROLLED_BACK and self._never_shipped(rollout):
                raise
            return moved

    def _never_shipped(self, rollout: Rollout) -> bool:
        return rollout.at < 0

    def _rollout(self, state: State) -> Rollout:
        if state.rollout is None:
            raise Unavailable("the rollout is gone", hint="run it again")
        return state.rollout

    def _resumed(self, state: State) -> State:
        rollout = self._rollout(state)
        if rollout.held is None:
            return state
        return self._write(state.but(rollout=rollout.model_copy(update={"held": None})))

    def _at_stage(self, state: State, place: int) -> State:
        rollout = self._rollout(state)
        stage, candidate, baseline = rollout.stages[place], rollout.candidate, rollout.baseline
        weights = {baseline: 100 - stage.weight} if baseline else {}
        for version, wanted in ((candidate, stage.candidate), (baseline, stage.baseline)):
            if version:
                state = state.with_fleet(sized(state.fleets[version], wanted, self._placer(state)))
        ab = rollout.strategy.kind == "ab"
        moved = rollout.model_copy(update={"at": place, "stage_since": now()})
        return state.but(
            weights={**weights, candidate: stage.weight} if stage.weight or not baseline else {baseline: 100.0},
            mirror=stage.mirror, sticky=rollout.strategy.user_header if ab else None, rollout=moved,
        ).noting(rollout.who, f"{candidate} at {stage.weight:g} %")  # fmt: skip

    def _asked(self, state: State, verifier: Verifier) -> Verdict:
        """Wait out the stage's pause, then ask; heed a wish to stop all the while."""
        rollout = self._rollout(state)
        stage = rollout.stages[rollout.at]
        deadline = time.monotonic() + max(0.0, stage.pause_s - max(0.0, seconds_since(rollout.stage_since)))
        while time.monotonic() < deadline:
            self._heed()
            time.sleep(POLL_S)
        question = Question(
            state.project, state.environment, self._arm(state, rollout.candidate),
            self._arm(state, rollout.baseline) if rollout.baseline and state.fleets.get(rollout.baseline) else None,
            stage.weight, rollout.stage_since, self._router.admin, self._router.address,
        )  # fmt: skip
        return self._answered(verifier, question)

    def _answered(self, verifier: Verifier, question: Question) -> Verdict:
        found: list[Verdict] = []

        def ask() -> None:
            try:
                found.append(verifier.verify(question))
            except StepError as error:  # who cannot look has not seen that it is well
                found.append(Verdict(Answer.INVALID, str(error)))

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        while thread.is_alive():
            self._heed()
            thread.join(POLL_S)
        return found[0] if found else Verdict(Answer.INVALID, "verification crashed")

    def _arm(self, state: State, version: str) -> Arm:
        fleet = state.fleets[version]
        places = [f"{item.host}:{item.port}" for item in fleet.instances]
        return Arm(fleet.release, cluster_of(state.project, version), places)

    def _heed(self) -> None:
        if asked := self._store.asked_to_stop():
            raise AskedToStop(asked)

    def _rests(self, state: State, verdict: Verdict) -> Moved:
        rollout = self._rollout(state)
        why = (
            verdict.message
            if verdict.answer is not Answer.NOT_WORSE
            else f"{rollout.strategy.kind} runs until told to end"
        )
        self._write(state.but(rollout=rollout.model_copy(update={"held": why or verdict.answer.value})))
        weight = state.weights.get(rollout.candidate, 0)
        message = f"{state.project}@v{rollout.candidate} stays at {weight:g} %: {why}"
        return Moved(Outcome.INCONCLUSIVE, message, state.live, state.former, verdict.checks, verdict.evidence)

    def _done(self, state: State, verdict: Verdict) -> Moved:
        rollout = self._rollout(state)
        state = self._finished(state, rollout.candidate, rollout.baseline, rollout.who, "is live")
        state = self._converge(state)
        message = f"{state.project}@v{rollout.candidate} is live"
        return Moved(Outcome.PASSED, message, state.live, state.former, verdict.checks, verdict.evidence)

    def _finished(self, state: State, live: str, former: str | None, who: str, what: str) -> State:
        """Write that a release is live; its predecessor stays warm, whatever else runs leaves."""
        until = (datetime.now(UTC) + timedelta(seconds=self._environment.keep_warm_s)).isoformat()
        for version, fleet in list(state.fleets.items()):
            if version == live:
                state = state.with_fleet(fleet.model_copy(update={"warm_until": None}))
            elif version == former and self._environment.keep_warm_s and fleet.instances:
                state = state.with_fleet(fleet.model_copy(update={"warm_until": until}))
            else:
                state = state.with_fleet(sized(fleet, 0, lambda same: same))
        done = state.but(live=live, former=former, weights={live: 100.0}, mirror=0.0, sticky=None, rollout=None)
        return self._write(done.noting(who, f"{live} {what}"))

    def _back(self, state: State, why: str, gone: str, verdict: Verdict | None = None) -> Moved:
        extra = (verdict.checks, verdict.evidence) if verdict else ((), {})
        try:
            state = self._undone(state, why)
        except StepError as error:
            return Moved(
                Outcome.NOT_RESTORED, f"{state.project}@v{gone}: {why}; and back: {error}", state.live, None, *extra
            )
        there = f"{state.live} is live again" if state.live else "nothing is live, as before"
        return Moved(Outcome.ROLLED_BACK, f"{state.project}@v{gone}: {why}; {there}", state.live, gone, *extra)

    def _undone(self, state: State, why: str) -> State:
        """Return traffic to the baseline: first its servers, then its weight, then the candidate leaves."""
        rollout = self._rollout(state)
        marked = rollout.model_copy(update={"returning": why})
        state = state.but(rollout=marked)
        if rollout.baseline and (fleet := state.fleets.get(rollout.baseline)):
            small = len(fleet.instances) < self._environment.instances
            state = self._write(state.with_fleet(sized(fleet, self._environment.instances, self._placer(state))))
            self._ready(state, fleet.release)
            state = self._warmed(state, rollout) if small else state
        weights = {rollout.baseline: 100.0} if rollout.baseline else {}
        for version in [v for v in state.fleets if v == rollout.candidate]:
            state = state.with_fleet(sized(state.fleets[version], 0, lambda same: same))
        state = state.but(weights=weights, mirror=0.0, sticky=None, rollout=None)
        return self._converge(self._write(state.noting(rollout.who, f"{rollout.candidate} undone: {why}")))

    def _warmed(self, state: State, rollout: Rollout) -> State:
        """Return traffic by and by to servers that were started a moment ago."""
        baseline = str(rollout.baseline)
        for share in RETURN_SHARES:
            if share > state.weights.get(baseline, 0):
                state = self._write(state.but(weights={baseline: share, rollout.candidate: 100 - share}))
                state = self._converge(state)
                time.sleep(RETURN_PAUSE_S)
        return state

    def _ready(self, state: State, release: Release) -> None:
        """Have a release's servers up and known to Envoy as healthy, while traffic stays where it is."""
        for item in state.fleets[release.version].instances:
            self._target.prepare(release)
            self._target.start(release, item)
        deadline = time.monotonic() + self._environment.ready_s
        for item in state.fleets[release.version].instances:
            while not self._target.ready(release, item):
                if time.monotonic() > deadline:
                    raise NotReady(f"{release.name}: not ready after {self._environment.ready_s:g} s")
                time.sleep(POLL_S / 2)

    def _retire(self, state: State, version: str) -> None:
        self._converge(self._write(state.with_fleet(sized(state.fleets[version], 0, lambda same: same))))

    def _cooled(self, state: State) -> State:
        for version, fleet in list(state.fleets.items()):
            if fleet.warm_until is None or version in state.serving():
                continue
            left = -seconds_since(fleet.warm_until)
            if left <= 0 or left > self._environment.keep_warm_s + 60:  # the clock was set back
                state = self._write(
                    state.with_fleet(sized(fleet, 0, lambda same: same)).noting("reconcile", f"{version} is cold")
                )
        return state

    def _expired(self, rollout: Rollout) -> bool:
        silent = self._store.silent_s()
        if rollout.returning:
            return True
        # `hold` has just given a sign of life of our own: the stage's age is what is left to judge by.
        age = abs(seconds_since(rollout.stage_since or rollout.since))
        return (silent if silent is not None and silent > 1 else age) > self._environment.lease_s

    def _interrupting(self, who: str) -> _Interrupting:
        return _Interrupting(self._store, who)


class _Interrupting:
    """Hold the environment; if a rollout is under way, ask it to stop and wait for it."""

    def __init__(self, store: StateStore, who: str) -> None:
        self._store, self._who = store, who

    def __enter__(self) -> None:
        deadline = time.monotonic() + STOP_WAIT_S
        while True:
            hold = self._store.hold(self._who)
            try:
                hold.__enter__()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                self._store.ask_to_stop(self._who)
                time.sleep(POLL_S)
            else:
                self._hold = hold
                return

    def __exit__(self, *problem: object) -> None:
        self._hold.__exit__(*problem)  # type: ignore[arg-type]
