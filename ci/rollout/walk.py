"""One rollout, stage by stage: move traffic, wait, ask; on a bad verdict or a wish to stop, back."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ci.errors import Outcome, StepError
from ci.report import Check, Found
from ci.rollout.converge import NotReady, placer, sized
from ci.rollout.holding import AskedToStop, heed
from ci.rollout.interface import Answer, Arm, Moved, Question, Verdict
from ci.rollout.moves import rollout_of
from ci.rollout.state import State, cluster_of, now, seconds_since
from ci.rollout.staying import ended, steady
from ci.rollout.strategies import spent_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.rollout.interface import Verifier
    from ci.rollout.moves import Moves

POLL_S = 0.1


def arm(state: State, version: str) -> Arm:
    """Return one release as verification sees it."""
    fleet = state.fleets[version]
    places = [f"{item.host}:{item.port}" for item in fleet.instances]
    return Arm(fleet.release, cluster_of(state.project, version), places)


class Walk:
    """Carries a rollout on from wherever its state is."""

    def __init__(self, moves: Moves, say: Callable[[str], None]) -> None:
        """Take what moves, and who is told."""
        self._moves, self._say = moves, say

    def __call__(self, state: State, verifier: Verifier) -> Moved:
        """Go through the stages that are left; on a bad verdict or a wish to stop, back."""
        rollout = rollout_of(state)
        candidate, last = rollout.candidate, Verdict(Answer.NOT_WORSE, "")
        try:
            state = self._moves.converge(self._resumed(state), stop=self._heed)
            before = self._restarts(state)
            while True:
                rollout = rollout_of(state)
                if rollout.at >= 0 and rollout.stages[rollout.at].ask:
                    state = self._paused(state)
                    last = self._answered(verifier, self._question(state))
                    if last.answer is Answer.NOT_WORSE:
                        last = steady(last, ended(before, self._restarts(state)))
                    if last.answer is Answer.WORSE:
                        return self._moves.back(state, last.message, candidate, last)
                    if last.answer is not Answer.NOT_WORSE or rollout.stages[rollout.at].stays:
                        return self._rests(state, last)
                if rollout.at + 1 == len(rollout.stages):
                    return self._done(state, last)
                state = self._moves.write(self._at_stage(state, rollout.at + 1))
                state = self._moves.converge(state, stop=self._heed)
                self._say(f"{candidate}: {state.weights.get(candidate, 0):g} % of requests")
        except AskedToStop as wish:
            return self._moves.back(self._moves.read(), f"{wish} asked for it", candidate)
        except NotReady as error:
            moved = self._moves.back(self._moves.read(), str(error), candidate)
            if moved.outcome is Outcome.ROLLED_BACK and rollout.at < 0:  # nobody was ever sent there
                raise
            return moved

    def _resumed(self, state: State) -> State:
        rollout = rollout_of(state)
        if rollout.held is None:
            return state
        return self._moves.write(state.but(rollout=rollout.model_copy(update={"held": None})))

    def _at_stage(self, state: State, place: int) -> State:
        rollout = rollout_of(state)
        stage, candidate, baseline = rollout.stages[place], rollout.candidate, rollout.baseline
        weights = {baseline: 100 - stage.weight} if baseline else {}
        for version, wanted in ((candidate, stage.candidate), (baseline, stage.baseline)):
            if version:
                state = state.with_fleet(sized(state.fleets[version], wanted, placer(state, self._moves.target)))
        ab = rollout.strategy.kind == "ab"
        moved = rollout.model_copy(update={"at": place, "stage_since": now()})
        return state.but(
            weights={**weights, candidate: stage.weight} if stage.weight or not baseline else {baseline: 100.0},
            mirror=stage.mirror, sticky=rollout.strategy.user_header if ab else None, rollout=moved,
        ).noting(rollout.who, f"{candidate} at {stage.weight:g} %")  # fmt: skip

    def _paused(self, state: State) -> State:
        """
        Wait out the stage's pause, heeding a wish to stop all the while; then count a question.

        It is counted before it is asked: whoever dies over it has spent what it may spend.
        """
        rollout = rollout_of(state)
        stage = rollout.stages[rollout.at]
        deadline = time.monotonic() + max(0.0, stage.pause_s - max(0.0, seconds_since(rollout.stage_since)))
        while time.monotonic() < deadline:
            heed(self._moves.store)
            time.sleep(POLL_S)
        return self._moves.write(state.but(rollout=rollout.model_copy(update={"asked": rollout.asked + 1})))

    def _question(self, state: State) -> Question:
        rollout = rollout_of(state)
        return Question(
            state.project, state.environment, arm(state, rollout.candidate),
            arm(state, rollout.baseline) if rollout.baseline and state.fleets.get(rollout.baseline) else None,
            rollout.stages[rollout.at].weight, rollout.stage_since,
            self._moves.router.admin, self._moves.router.address, spent_by(rollout.asked), state.mark(),
        )  # fmt: skip

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
            heed(self._moves.store)
            thread.join(POLL_S)
        return found[0] if found else Verdict(Answer.INVALID, "verification crashed")

    def _restarts(self, state: State) -> dict[str, int]:
        return self._moves.restarts(state, rollout_of(state).candidate)

    def _rests(self, state: State, verdict: Verdict) -> Moved:
        rollout = rollout_of(state)
        why = (
            verdict.message
            if verdict.answer is not Answer.NOT_WORSE
            else f"{rollout.strategy.kind} runs until told to end"
        )
        self._moves.write(state.but(rollout=rollout.model_copy(update={"held": why or verdict.answer.value})))
        weight = state.weights.get(rollout.candidate, 0)
        message = f"{state.project}@v{rollout.candidate} stays at {weight:g} %: {why}"
        return Moved(Outcome.INCONCLUSIVE, message, state.live, state.former, verdict.checks, verdict.evidence)

    def _done(self, state: State, verdict: Verdict) -> Moved:
        """Call it live; what is left to tidy up then is no reason to call a release that has all traffic a failure."""
        rollout, checks = rollout_of(state), list(verdict.checks)
        state = self._moves.finished(state, rollout.candidate, rollout.baseline, rollout.who, "is live")
        message = f"{state.project}@v{rollout.candidate} is live"
        try:
            state = self._moves.converge(state)
        except StepError as error:
            message += f"; not tidied up: {error}: python -m steps.reconcile goes on with it"
            checks.append(Check("tidied up", Found.WARNED, str(error)))
        return Moved(Outcome.PASSED, message, state.live, state.former, checks, verdict.evidence)

    def _heed(self) -> None:
        heed(self._moves.store)
