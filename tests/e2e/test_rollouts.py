"""Releases come and go behind a real Envoy; whoever is killed, the next one finds a consistent state."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ci.adapters.envoy import binary
from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.rollout.interface import Answer, Question, Verdict
from tests.e2e.environments import BUNDLE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if not (BUNDLE / "manifest.json").is_file():
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    made = Place(tmp_path)
    yield made
    made.open().stop("tests")
    assert not made.units.alive()


def test_a_canary_goes_in_and_a_rollback_is_a_weight_change(place: Place) -> None:
    assert place.deploy("1.0.0").outcome is Outcome.PASSED
    moved = place.deploy("1.1.0", kind="canary")
    assert (moved.outcome, moved.live, moved.former) == (Outcome.PASSED, "1.1.0", "1.0.0")
    assert place.answer() == (200, "flights@1.1.0")
    assert place.answer(**{"x-slipway-release": "1.0.0"}) == (200, "flights@1.0.0")
    assert place.answer(cookie="a=b; slipway-release=1.0.0") == (200, "flights@1.0.0")
    assert place.answer(**{"x-slipway-release": "1.0x0"})[0] == 404
    running = place.open()
    began = time.monotonic()
    assert running.roll_back(place.release("1.0.0"), "tests").outcome is Outcome.PASSED
    assert time.monotonic() - began < 5  # 0.2 s on a quiet machine
    assert place.answer() == (200, "flights@1.0.0")
    assert running.actual().drift == []


class Says:
    """A verifier with a fixed opinion."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[float]()

    def verify(self, question: Question) -> Verdict:
        self.asked.append(question.weight)
        return Verdict(self.answers.pop(0), "as told")


@pytest.mark.parametrize("kind", ["rolling", "blue_green", "canary", "ab", "shadow"])
def test_a_worse_release_goes_and_the_live_one_has_all_traffic(place: Place, kind: str) -> None:
    place.settings["instances"] = 2
    place.deploy("1.0.0")
    strategy = place.environment.strategy.model_copy(update={"kind": kind})
    moved = place.open().roll_out(place.release("1.1.0"), strategy, Says(Answer.WORSE), "tests")
    assert (moved.outcome, moved.live) == (Outcome.ROLLED_BACK, "1.0.0")
    actual = place.open().actual()
    assert (actual.weights, actual.held_by, actual.drift) == ({"1.0.0": 100.0}, None, [])
    assert {place.answer() for _ in range(10)} == {(200, "flights@1.0.0")}


def test_not_enough_evidence_holds_and_goes_on_when_asked_again(place: Place) -> None:
    place.deploy("1.0.0")
    strategy = place.environment.strategy.model_copy(update={"kind": "canary"})
    quick = strategy.model_copy(update={"steps": [s.model_copy(update={"pause_s": 0}) for s in strategy.steps]})
    moved = place.open().roll_out(place.release("1.1.0"), quick, Says(Answer.NOT_WORSE, Answer.NOT_ENOUGH), "Ann")
    assert (moved.outcome, moved.live) == (Outcome.INCONCLUSIVE, "1.0.0")
    assert place.open().actual().weights == {"1.0.0": 75.0, "1.1.0": 25.0}
    with pytest.raises(Unavailable, match=r"1\.1\.0: held by Ann since .*as told"):
        place.deploy("1.2.0")
    verifier = Says(*[Answer.NOT_WORSE] * 3)
    assert place.open().roll_out(place.release("1.1.0"), quick, verifier, "Bob").live == "1.1.0"
    assert verifier.asked == [25, 50]


def test_a_release_that_never_becomes_ready_changes_nothing_for_callers(place: Place) -> None:
    place.deploy("1.0.0")
    place.settings["ready_s"] = 3
    shelf = place.folder / "bundles" / place.release("1.1.0").bundle
    (shelf / "model.onnx").rename(shelf / "away")
    with pytest.raises(BadInput, match=r"flights@v1\.1\.0: not ready after 3 s: .*No such file"):
        place.deploy("1.1.0")
    actual = place.open().actual()
    assert (actual.live, actual.weights, actual.held_by) == ("1.0.0", {"1.0.0": 100.0}, None)
    assert place.answer() == (200, "flights@1.0.0")


@pytest.mark.parametrize("after", ["deploy", "abort", "rollback", "reconcile"])
def test_killed_at_any_instant_the_next_command_finds_its_way(place: Place, after: str) -> None:
    place.deploy("1.0.0")
    draw = random.Random(after)
    for _ in range(int(os.environ.get("SLIPWAY_TEST_KILLS", "2"))):
        runner = subprocess.Popen(place.command("1.1.0"), stdout=subprocess.PIPE, text=True)
        time.sleep(draw.uniform(0.3, 3.5))
        runner.send_signal(signal.SIGKILL)
        runner.communicate()
        assert place.answer()[0] == 200
        running = place.open()
        if after == "deploy":
            assert place.deploy("1.1.0", kind="canary").live == "1.1.0"
        elif after == "abort":
            assert running.abort("tests").outcome in {Outcome.PASSED, Outcome.ROLLED_BACK}
        elif after == "rollback":
            assert running.roll_back(place.release("1.0.0"), "tests").live == "1.0.0"
        else:
            time.sleep(5.2)  # the lease
            assert running.reconcile("tests").outcome in {Outcome.PASSED, Outcome.ROLLED_BACK}
        actual = place.open().actual()
        assert (actual.held_by, actual.drift, len(actual.weights)) == (None, [], 1)
        assert place.answer() == (200, f"flights@{actual.live}")
        place.open().roll_back(place.release("1.0.0"), "tests")


def test_of_two_agents_one_goes_and_the_other_hears_who_does(place: Place) -> None:
    place.deploy("1.0.0")

    def agent(who: str) -> str:
        try:
            return str(place.deploy("1.1.0", who=who).live)
        except StepError as error:
            return str(error)

    for _ in range(int(os.environ.get("SLIPWAY_TEST_ROUNDS", "1"))):
        with ThreadPoolExecutor() as both:
            said = list(both.map(agent, ["Ann", "Bob"]))
        assert "1.1.0" in said
        assert all(word == "1.1.0" or word.startswith("flights in staging: held by ") for word in said)
        actual = place.open().actual()
        assert (actual.live, actual.held_by, actual.drift) == ("1.1.0", None, [])
        assert place.open().roll_back(place.release("1.0.0"), "tests").live == "1.0.0"


def test_whoever_is_on_call_interrupts_a_rollout_that_is_under_way(place: Place) -> None:
    place.deploy("1.0.0")
    with ThreadPoolExecutor() as other:
        slow = other.submit(place.deploy, "1.1.0", kind="canary", steps=[{"weight": 10, "pause_s": 60}])
        while place.open().actual().weights.get("1.1.0") != 10:
            time.sleep(0.1)
        assert place.open().roll_back(place.release("1.0.0"), "on call").live == "1.0.0"
        assert slow.result().outcome is Outcome.ROLLED_BACK


@pytest.mark.parametrize("name", ["envoy", "flights-"])
def test_what_is_killed_comes_back(place: Place, name: str) -> None:
    place.deploy("1.0.0")
    before = {unit: pid for unit, pid in place.units.alive().items() if unit.startswith(name)}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while place.open().actual().drift or place.units.alive().keys() & before.keys() != before.keys():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert place.answer() == (200, "flights@1.0.0")
