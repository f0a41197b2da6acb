"""From what was seen to one retraining: reasons, guards, and a persistent fault that triggers once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import BadInput, Outcome, Unavailable
from ci.params_retraining import Retraining
from ci.retraining.cases import Cases, Incident
from ci.retraining.incidents import Nothing, incident_of
from ci.retraining.retrain import Asked, Trigger, retrain
from ci.retraining.rules import Fresh
from ci.rollout.interface import Answer
from ci.watching.state import Demotion, Look, Memory
from tests.releases import START, Clock

W, G = Answer.WORSE, Answer.NOT_WORSE
AUGUST = date(2013, 8, 1)


def memory(*answers, cause="drift", version="1.1.0", stay=2, at=START):
    looks = [
        Look(at=at + timedelta(minutes=place), version=version, stay=stay, answer=answer, cause=cause, message="psi .4")
        for place, answer in enumerate(answers)
    ]
    return Memory(project="flights", environment="production", looks=looks)


def taken_back(cause="quality", version="1.1.0", stay=2, status="done"):
    gone = Demotion(at=START, version=version, stay=stay, to="1.0.0", cause=cause, reason="watch", status=status)
    return memory().beginning(gone)


@dataclass
class Keeper:
    kept: Cases = field(default_factory=lambda: Cases(project="flights", environment="production"))

    def read(self):
        return self.kept

    def write(self, cases):
        self.kept = cases


@dataclass
class Starter:
    """`ends` are statuses, or errors that are raised."""

    ends: list = field(default_factory=lambda: ["passed"])
    asked: list = field(default_factory=list)
    place: str = "memory"

    def go_on(self, wanted, attempt, keep, *, wait):
        self.asked.append(wanted.request)
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            keep(attempt.model_copy(update={"queue": "7"}))
            raise end
        return attempt.model_copy(update={"status": end, "told": f"{end} it is"})


@dataclass
class World:
    memory: Memory = field(default_factory=lambda: memory(W, W, W))
    keeper: Keeper = field(default_factory=Keeper)
    starter: Starter = field(default_factory=Starter)
    fresh: Fresh = field(default_factory=lambda: Fresh(date(2013, 7, 1), AUGUST, 29_000))
    policy: Retraining = field(default_factory=Retraining)
    clock: Clock = field(default_factory=lambda: Clock(START + timedelta(minutes=5)))
    live: str = "1.1.0"
    born: dict = field(default_factory=dict)

    def run(self, **options):
        world = self

        class Data:
            def fresh(self, version, as_of):
                return world.fresh

        trigger = Trigger(self.memory, self.keeper, Data(), self.starter, self.policy, self.clock, self.live, self.born)
        return retrain("flights", trigger, Asked(AUGUST, **options))


def held_by(result):
    return [check.name for check in result.checks if check.outcome == "rejected"]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (memory(), "nobody has looked"),
        (memory(W, W, W, G), "the newest window of v1.1.0 is not worse"),
        (memory(W, G, G, W), "worse in 2 of the last 4 windows, 3 decide"),
        (memory(W, W, G, G, G, G, W), "worse in 1 of the last 5"),
    ],
)
def test_no_reason(seen, why):
    found = incident_of(seen, Retraining(), START + timedelta(hours=1), [])
    assert isinstance(found, Nothing)
    assert why in found.why


def test_a_rollback_and_the_windows_that_led_to_it_are_one_fault():
    now = START + timedelta(hours=1)
    both = memory(W, W, W).but(demotions=taken_back().demotions)
    first = incident_of(both, Retraining(), now, [])
    assert first.key == "production:v1.1.0:2"
    assert isinstance(incident_of(both, Retraining(), now, [first.key]), Nothing)


def test_a_fault_of_the_code_does_not_hide_one_of_the_world():
    both = memory(W, W, W, stay=4, version="1.0.0").but(demotions=taken_back("code").demotions)
    found = incident_of(both, Retraining(), START + timedelta(hours=1), [])
    assert (found.version, found.cause) == ("1.0.0", "drift")
    alone = incident_of(taken_back("code"), Retraining(), START + timedelta(hours=1), [])
    assert alone.cause == "code"


def test_what_is_old_or_did_not_happen_is_no_reason():
    assert isinstance(incident_of(taken_back(), Retraining(memory_s=60), START + timedelta(hours=1), []), Nothing)
    assert isinstance(incident_of(taken_back(status="failed"), Retraining(), START, []), Nothing)


def test_it_starts_once_and_a_fault_that_persists_starts_nothing_more():
    world = World(starter=Starter(["passed"] * 9))
    assert world.run().outcome is Outcome.PASSED
    for _ in range(40):
        world.clock.go(days=1)
        world.memory = memory(W, W, W, W, W, at=world.clock.now - timedelta(minutes=9))
        assert world.run().data.get("started") is not True
    assert len(world.starter.asked) == 1


def test_after_a_younger_release_a_new_fault_is_a_new_incident():
    world = World(starter=Starter(["passed"] * 2))
    world.run()
    world.clock.go(days=2)
    world.live, world.born = "1.2.0", {"1.2.0": world.clock.now - timedelta(days=1)}
    world.memory = memory(W, W, W, version="1.2.0", stay=8, at=world.clock.now - timedelta(minutes=9))
    world.fresh = Fresh(AUGUST, date(2013, 9, 1), 30_000)
    assert world.run().outcome is Outcome.PASSED
    assert len(world.starter.asked) == 2


@pytest.mark.parametrize(
    ("change", "guard"),
    [
        ({"fresh": Fresh(AUGUST, AUGUST, 0)}, "newer data"),
        ({"fresh": Fresh(date(2013, 7, 1), AUGUST, 0)}, "newer data"),
        ({"fresh": Fresh(None, AUGUST, 0)}, "newer data"),
        ({"memory": memory(W, W, W, cause="code")}, "cause"),
    ],
)
def test_each_guard_holds_it_back_and_says_so(change, guard):
    world = World(**change)
    told = world.run()
    assert (told.outcome, held_by(told), world.starter.asked) == (Outcome.INCONCLUSIVE, [guard], [])
    assert world.keeper.kept.cases == []


@pytest.mark.parametrize(
    ("policy", "guards"),
    [
        (Retraining(cooldown_s=7200), ["cooldown", "daily budget"]),
        (Retraining(cooldown_s=60), ["daily budget"]),
        (Retraining(cooldown_s=60, daily=2), []),
    ],
)
def test_cooldown_and_daily_budget(policy, guards):
    world = World(policy=policy, starter=Starter(["passed"] * 2))
    world.run()
    world.run(close=True)
    world.clock.go(hours=1)
    world.memory = memory(W, W, W, stay=5, at=world.clock.now - timedelta(minutes=9))
    assert held_by(world.run()) == guards


def test_a_delivery_that_failed_is_kept_and_gone_on_with():
    world = World(starter=Starter([Unavailable("jenkins: does not answer"), Unavailable("again"), "passed"]))
    for _ in range(2):
        with pytest.raises(Unavailable) as problem:
            world.run()
        assert "run this again" in problem.value.hint
    assert world.keeper.kept.open().attempt.queue == "7"
    assert world.run().outcome is Outcome.PASSED
    assert len(set(world.starter.asked)) == 1


def test_a_refusal_ends_it_and_is_not_repeated():
    world = World(starter=Starter([BadInput("no such job")]))
    with pytest.raises(BadInput):
        world.run()
    attempt = world.keeper.kept.open().attempt
    assert (attempt.status, attempt.told, attempt.queue) == ("failed", "no such job", "7")
    told = world.run()
    assert (told.outcome, len(world.starter.asked)) == (Outcome.INCONCLUSIVE, 1)
    assert "--close" in told.hint


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("passed", Outcome.PASSED), ("rejected", Outcome.REJECTED), ("inconclusive", Outcome.INCONCLUSIVE),
     ("failed", Outcome.UNAVAILABLE), ("running", Outcome.INCONCLUSIVE)],
)  # fmt: skip
def test_how_it_ended_is_how_the_step_ends(status, outcome):
    assert World(starter=Starter([status])).run().outcome is outcome


def test_who_does_not_wait_has_what_was_asked_for():
    assert World(starter=Starter(["running"])).run(wait=False).outcome is Outcome.PASSED


def test_dry_runs_and_a_trigger_that_is_off_start_nothing():
    for world, options in ((World(), {"dry_run": True}), (World(policy=Retraining(enabled=False)), {})):
        assert "would be learned anew as of 2013-08-01" in world.run(**options).message
        assert (world.starter.asked, world.keeper.kept.cases) == ([], [])


def test_by_hand_with_a_reason():
    world = World(memory=memory())
    given_ = Incident(key="production:v1.1.0:2", cause="quality", version="1.1.0", at=START, why="complaints")
    assert world.run(given=given_).outcome is Outcome.PASSED


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=40), st.integers(1, 3), st.integers(0, 50))
def test_whatever_happens_it_stays_within_budget_and_cooldown(steps, daily, hours):
    policy = Retraining(daily=daily, cooldown_s=hours * 3600)
    world = World(policy=policy, starter=Starter(["passed"] * 50))
    for stay, (younger, wait) in enumerate(steps, 10):
        world.clock.go(hours=wait)
        world.memory = memory(W, W, W, stay=stay, at=world.clock.now - timedelta(minutes=9))
        if younger:
            world.born["1.1.0"] = world.clock.now
        world.run()
    starts = [case.attempt.at for case in world.keeper.kept.cases]
    assert all(after - before >= timedelta(hours=hours) for before, after in zip(starts, starts[1:], strict=False))
    assert all(sum(0 <= (at - start).total_seconds() < 86_400 for at in starts) <= daily for start in starts)
