"""A watch that sees servers which ended by themselves, though everything answers well again when it looks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from ci.errors import Outcome
from ci.report import Check, Found
from ci.rollout.interface import Answer, Verdict
from ci.rollout.staying import ended, steady
from tests.unit.watching.test_watch import Running, World, world  # noqa: F401  # a fixture

SERVER, OTHER = "flights-v1-2-0-00000001", "flights-v1-2-0-00000002"


@dataclass
class Mortal(Running):
    """Tells how often its servers were started again."""

    deaths: dict = field(default_factory=lambda: {SERVER: 3})  # before anybody watched

    def question(self):
        return replace(super().question(), restarts=dict(self.deaths))


@pytest.fixture
def mortal(world: World) -> World:  # noqa: F811
    world.running = Mortal(live="1.2.0")
    world.verifier.answers = [Answer.NOT_WORSE] * 9
    return world


def test_servers_that_end_between_looks_are_worse_and_the_release_goes_back(mortal: World) -> None:
    assert mortal.look().outcome is Outcome.PASSED, "what was before the first look is not held against it"
    assert mortal.look().outcome is Outcome.PASSED
    mortal.running.deaths[SERVER] += 1
    told = mortal.look()
    assert (told.outcome, mortal.rolled) == (Outcome.INCONCLUSIVE, [])
    assert "its servers ended by themselves 1 time while it was watched" in told.message
    assert mortal.look().outcome is Outcome.PASSED, "it lived on"
    mortal.running.deaths |= {SERVER: 6, OTHER: 1}
    told = mortal.look()
    assert (told.outcome, mortal.rolled) == (Outcome.ROLLED_BACK, ["1.1.0"])
    assert told.data["cause"] == "code"
    assert "ended by themselves 3 times" in mortal.ledger.history("flights").bad("1.2.0").reason


def test_one_end_alone_takes_nothing_back(mortal: World) -> None:
    mortal.look()
    mortal.running.deaths[SERVER] += 1
    ends = [mortal.look().outcome for _ in range(5)]
    assert ends == [Outcome.INCONCLUSIVE, *[Outcome.PASSED] * 4]
    assert mortal.rolled == []


def test_a_supervisor_that_counts_anew_is_no_end() -> None:
    assert ended({SERVER: 3, OTHER: 1}, {SERVER: 0, OTHER: 2}) == 1
    assert ended({SERVER: 3}, {}) == 0


def test_whoever_could_not_tell_is_answered_and_a_worse_verdict_keeps_its_words() -> None:
    checks = [Check("errors", Found.INCONCLUSIVE, "nobody calls")]
    found = steady(Verdict(Answer.NOT_ENOUGH, "nobody calls", checks, {"x": "d"}), 2)
    assert (found.answer, found.evidence, [check.name for check in found.checks]) == (
        Answer.WORSE, {"x": "d"}, ["errors", "servers stay up"],
    )  # fmt: skip
    worse = Verdict(Answer.WORSE, "5 % errors")
    assert steady(worse, 2) is worse
    assert steady(found, 0) is found
