"""A whole watch in memory: looks, the way back, the mark, and what is left when it dies in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from ci.errors import Outcome, StepError, Unavailable
from ci.ledger.event import Kind
from ci.ledger.interface import By
from ci.params_watching import Watching
from ci.promotion.records import Records
from ci.report import Check, Found
from ci.rollout.interface import Answer, Arm, Question, Verdict
from ci.watching.state import Memory
from ci.watching.watch import Post, watch
from tests.releases import MemoryLedger, MemoryQueue, MemoryRunning, release


@dataclass
class Keeper:
    kept: Memory = field(default_factory=lambda: Memory(project="flights", environment="production"))
    writes: int = 0
    dies_at: int = 0
    place: str = "memory"

    def read(self):
        return self.kept

    def write(self, memory):
        self.writes += 1
        if self.writes == self.dies_at:
            raise KeyboardInterrupt
        self.kept = memory


@dataclass
class Running(MemoryRunning):
    rollout: bool = False

    def question(self):
        if self.live is None:
            return None
        arm = Arm(release(self.live), "c", ["127.0.0.1:1"])
        return Question("flights", "production", arm, arm if self.rollout else None, 100, "", "", "")


@dataclass
class Scripted:
    answers: list
    check: str = "scores"

    def verify(self, question):
        answer = self.answers.pop(0)
        if isinstance(answer, StepError):
            raise answer
        found = {Answer.WORSE: Found.REJECTED, Answer.NOT_WORSE: Found.PASSED}.get(answer, Found.INCONCLUSIVE)
        return Verdict(answer, f"{answer}", [Check(self.check, found, "psi .4")])


@dataclass
class World:
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    keeper: Keeper = field(default_factory=Keeper)
    running: Running = field(default_factory=lambda: Running(live="1.2.0"))
    verifier: Scripted = field(default_factory=lambda: Scripted([Answer.WORSE] * 9))
    policy: Watching = field(default_factory=lambda: Watching(quiet_s=3600))

    def look(self, **options):
        records = Records(self.ledger, MemoryQueue(), self.ledger.clock)
        post = Post("production", self.running, self.verifier, records, self.keeper, self.policy)
        return watch("flights", post, By("watch"), **options)

    @property
    def rolled(self):
        return [version for what, version, _ in self.running.moves if what == "roll back"]


@pytest.fixture
def world():
    made = World()
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        made.ledger.register(release(version), By("ci"))
        made.ledger.live(version, "production")
    return made


def test_two_worse_looks_take_it_back_and_mark_it_bad(world):
    assert world.look().outcome is Outcome.INCONCLUSIVE
    told = world.look()
    assert (told.outcome, world.rolled, world.running.live) == (Outcome.ROLLED_BACK, ["1.1.0"], "1.1.0")
    history = world.ledger.history("flights")
    assert history.live("production").how == "rolled back"
    assert "worse in 2 of the last 2 looks" in history.bad("1.2.0").reason
    assert told.data["cause"] == "drift"
    assert "steps.retrain" in told.hint


def test_a_fault_that_persists_moves_once_in_the_quiet_time_and_never_back(world):
    world.verifier.answers *= 20
    ends = [world.look().outcome for _ in range(12)]
    assert ends.count(Outcome.ROLLED_BACK) == 1
    assert Outcome.REJECTED in ends  # worse still, but quiet
    world.ledger.clock.go(hours=2)
    assert world.look().outcome is Outcome.ROLLED_BACK
    assert world.rolled == ["1.1.0", "1.0.0"]
    world.ledger.clock.go(hours=2)
    world.look()
    assert world.look().message.endswith("nothing else was live, verified and not marked bad")
    assert world.rolled == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize("answer", [Answer.NOT_ENOUGH, Answer.INVALID])
def test_who_cannot_tell_takes_nothing_back(world, answer):
    world.verifier.answers = [Answer.WORSE, answer, answer, answer]
    assert [world.look().outcome for _ in range(4)] == [Outcome.INCONCLUSIVE] * 4
    assert not world.rolled


def test_a_silent_monitoring_is_no_look(world):
    world.verifier.answers = [Unavailable("prometheus: does not answer")]
    with pytest.raises(Unavailable):
        world.look()
    assert world.keeper.kept.looks == []


def test_not_into_a_release_that_a_person_marked_bad(world):
    world.ledger.did(Kind.BAD, "1.1.0", reason="swapped columns")
    world.look(), world.look()
    assert world.rolled == ["1.0.0"]


def test_with_the_ledger_gone_it_goes_back_all_the_same_and_the_mark_waits(world):
    world.look()
    world.ledger.silent = True
    told = world.look()
    assert told.outcome is Outcome.ROLLED_BACK
    assert [check.outcome for check in told.checks if check.name == "bad mark"] == [Found.WARNED]
    assert world.keeper.kept.shunned() == {"1.2.0"}
    world.ledger.silent = False
    world.verifier.answers = [Answer.NOT_WORSE]
    assert world.look().outcome is Outcome.PASSED
    assert world.ledger.history("flights").bad("1.2.0")
    assert world.keeper.kept.shunned() == set()


@pytest.mark.parametrize("dies_at", [2, 3, 4, 5])
def test_a_watch_that_dies_between_two_lines_is_settled_by_the_next(world, dies_at):
    world.look()
    world.keeper.dies_at = dies_at
    try:
        world.look()
    except KeyboardInterrupt:
        world.keeper.dies_at = 0
    world.verifier.answers = [Answer.WORSE] * 9
    world.look()
    world.look()
    assert world.rolled == ["1.1.0"]
    assert world.ledger.history("flights").bad("1.2.0")
    assert world.keeper.kept.demotions[-1].status == "done"


def test_a_way_back_that_does_not_come_up_is_told_and_not_tried_for_ever(world):
    world.running.ends = Outcome.ROLLED_BACK
    world.look()
    assert world.look().outcome is Outcome.NOT_RESTORED
    assert [world.look().outcome for _ in range(4)] == [Outcome.REJECTED] * 4
    assert world.rolled == ["1.1.0"]
    assert not world.ledger.history("flights").bad("1.2.0")


def test_a_rollout_on_its_way_is_left_to_its_own_verification(world):
    world.running.rollout = True
    assert "its rollout looks at it" in world.look().message
    world.running = replace(world.running, rollout=False, live=None)
    assert world.look().message == "nothing runs in production"


def test_a_dry_run_remembers_and_moves_nothing(world):
    world.look()
    before = world.keeper.kept
    told = world.look(dry_run=True)
    assert (told.outcome, world.keeper.kept, world.rolled) == (Outcome.REJECTED, before, [])
    assert "would go back to v1.1.0" in told.message
