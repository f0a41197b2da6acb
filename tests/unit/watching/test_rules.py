"""The watch's rules on every history: it never flaps, never goes into what is bad, never acts on what it does not know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import BadInput
from ci.params import parse
from ci.params_watching import Watching
from ci.report import Check, Found
from ci.rollout.interface import Answer, Verdict
from ci.watching.rules import Todo, cause_of, decide
from ci.watching.state import Demotion, Look, Memory

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
EMPTY = Memory(project="flights", environment="production")


def look(at=START, answer=Answer.WORSE, version="1.1.0", stay=2, cause="drift"):
    return Look(at=at, version=version, stay=stay, answer=answer, cause=cause, message="scores moved")


def seen(*answers, **more):
    memory = EMPTY
    for place, answer in enumerate(answers):
        memory = memory.seeing(look(START + timedelta(minutes=place), answer, **more))
    return memory, START + timedelta(minutes=len(answers))


W, G, N, I = Answer.WORSE, Answer.NOT_WORSE, Answer.NOT_ENOUGH, Answer.INVALID  # noqa: E741


@pytest.mark.parametrize(
    ("answers", "todo"),
    [
        ([W], Todo.SUSPECT),
        ([W, W], Todo.DEMOTE),
        ([W, G, W], Todo.DEMOTE),
        ([W, W, G], Todo.WELL),
        ([W, W, N], Todo.UNSURE),
        ([W, W, I], Todo.UNSURE),
        ([W, G, G, W], Todo.SUSPECT),
        ([N, N, W], Todo.SUSPECT),
    ],
)
def test_k_of_the_last_n_looks_and_the_newest_decide(answers, todo):
    memory, now = seen(*answers)
    assert decide(memory, Watching(k=2, n=3), now, "1.0.0").todo is todo


def test_looks_at_another_stay_or_from_long_ago_do_not_count():
    memory = EMPTY.seeing(look(version="1.0.0")).seeing(look(stay=1)).seeing(look())
    assert decide(memory, Watching(k=2, n=3), START, "1.0.0").todo is Todo.SUSPECT
    old = EMPTY.seeing(look(START - timedelta(days=2))).seeing(look())
    assert decide(old, Watching(k=2, n=3), START, "1.0.0").todo is Todo.SUSPECT


def test_a_rollback_by_anybody_begins_the_quiet_time():
    memory, now = seen(W, W)
    policy = Watching(quiet_s=600)
    assert decide(memory, policy, now, "1.0.0", now - timedelta(seconds=599)).todo is Todo.QUIET
    assert decide(memory, policy, now, "1.0.0", now - timedelta(seconds=601)).todo is Todo.DEMOTE


def test_without_a_way_back_it_says_so_and_stays():
    memory, now = seen(W, W)
    assert decide(memory, Watching(), now, None).todo is Todo.STUCK
    assert decide(memory, Watching(), now, "1.1.0").todo is Todo.STUCK


def test_what_is_not_named_is_the_codes_fault_and_one_such_check_is_enough():
    policy = Watching()

    def verdict(*names):
        return Verdict(W, "worse", [Check(name, Found.REJECTED, "no") for name in names])

    assert [cause_of(verdict(*names), policy) for names in (["scores"], ["quality", "scores"], ["scores", "errors"], [])] == [
        "drift", "quality", "code", "code"]  # fmt: skip


def test_a_policy_that_could_never_act_is_refused():
    with pytest.raises(BadInput, match="k is above n"):
        parse(Watching, {"k": 4, "n": 3}, "params.yaml: watching")


ANSWERS = st.lists(st.tuples(st.sampled_from(list(Answer)), st.integers(1, 4000)), min_size=1, max_size=60)


@given(ANSWERS, st.integers(1, 4), st.integers(0, 4), st.integers(60, 9000))
def test_however_releases_behave_it_neither_flaps_nor_goes_into_what_is_bad(answers, k, more, quiet_s):
    policy = Watching(k=k, n=k + more, quiet_s=quiet_s)
    memory, now, stay = EMPTY, START, 9
    ladder, bad, moves = [f"1.{minor}.0" for minor in range(9)], set(), []
    live = ladder[-1]
    for answer, wait in answers:
        now += timedelta(seconds=wait)
        memory = memory.seeing(look(now, answer, live, stay))
        good = [version for version in ladder if version != live and version not in bad]
        decision = decide(memory, policy, now, good[-1] if good else None)
        if decision.todo is not Todo.DEMOTE:
            continue
        assert answer is Answer.WORSE
        assert decision.to not in bad | {live}
        recent = [item for item in memory.looks if (item.version, item.stay) == (live, stay)][-policy.n :]
        assert sum(item.answer is Answer.WORSE for item in recent) >= k
        moves.append(now)
        bad.add(live)
        memory = memory.beginning(Demotion(at=now, version=live, stay=stay, to=decision.to, cause="drift", reason="x"))
        live, stay = decision.to, stay + 1
    assert all((after - before).total_seconds() >= quiet_s for before, after in zip(moves, moves[1:], strict=False))


@given(st.lists(st.sampled_from([Answer.NOT_ENOUGH, Answer.INVALID, Answer.NOT_WORSE]), min_size=1, max_size=40))
def test_without_a_worse_look_nothing_is_ever_taken_back(answers):
    memory, now = seen(*answers)
    assert decide(memory, Watching(k=1, n=1), now, "1.0.0").todo in {Todo.WELL, Todo.UNSURE}
