"""A shadow gets copies: callers feel nothing of it, and both answers to a request are there to be compared."""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import environments
from ci.adapters.envoy import binary
from ci.adapters.pairs import ServerPairs
from ci.adapters.wanted import _unsigned as unsigned
from ci.errors import BadInput, Outcome
from ci.shared import Shared
from tests.containers import a_place
from tests.e2e import bad
from tests.e2e.environments import BUNDLE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ci.rollout.pairs import Joined

pytestmark = pytest.mark.slow
SHADOW = "1.1.0"
ROWS = json.loads((BUNDLE / "golden.json").read_text())["rows"] if BUNDLE.is_dir() else []


class Beside(Place):
    """A place where the shadow answers every row alike."""

    def open(self) -> Any:
        bundles = environments.FolderBundles(BUNDLE, self.folder / "constant")
        return environments.running("flights", self.environment, Shared(projects=["flights"]), bundles=bundles)

    def release(self, version: str) -> Any:
        bundle = self.folder / "constant" if version == SHADOW else BUNDLE
        return unsigned("flights", version, bundle)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    if not ROWS:
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    monkeypatch.setattr(environments, "ProcessTarget", bad.FaultyTarget)
    monkeypatch.setattr(bad.FaultyTarget, "faults", {SHADOW: (0.0, 0.6)})  # each answer of the shadow takes so long
    bad.constant(BUNDLE, tmp_path / "constant")
    made = Beside(tmp_path)
    yield made
    made.open().stop("tests")


def called(door: str, name: str, times: int = 30, **headers: str) -> tuple[dict[str, Any], float]:
    """Send golden rows; return the predictions by request id, and the median of the seconds that an answer took."""
    connection, found, took = http.client.HTTPConnection(door.removeprefix("http://"), timeout=20), {}, []
    for number in range(times):
        began, sent = time.monotonic(), json.dumps(ROWS[number % len(ROWS)])
        connection.request(
            "POST",
            "/predict",
            sent,
            {"content-type": "application/json", "x-request-id": f"{name}-{number}", **headers},
        )
        answer = connection.getresponse()
        assert answer.status == 200
        assert str(answer.getheader("x-slipway-release")).startswith("flights@1.0.0; ")
        found[f"{name}-{number}"] = json.loads(answer.read())["predictions"]
        took.append(time.monotonic() - began)
    return found, median(took)


def heard(running: Any, send: Any, wanted: int) -> Joined:
    """Wait until so many copies were answered, too."""
    deadline = time.monotonic() + 30
    while True:
        found = ServerPairs(running.question(), send).now()
        if len(found.pairs) >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def test_callers_feel_nothing_and_both_answers_are_recorded(place: Beside) -> None:
    place.deploy("1.0.0")
    door = str(place.open().actual().door)
    alone, before_s = called(door, "alone")
    assert place.deploy(SHADOW, kind="shadow", share=99.99).outcome is Outcome.INCONCLUSIVE
    began = datetime.now(UTC)
    beside, during_s = called(door, "beside")
    assert list(beside.values()) == list(alone.values()), "callers get what they got"
    assert during_s < 0.3, f"the shadow takes .6 s; callers waited {during_s:.3f} s, {before_s:.3f} s without it"
    found = heard(place.open(), environments.ask, 29)
    assert len(found.pairs) >= 29
    for pair in found.pairs:
        assert pair.baseline.answer == beside[pair.request_id]
        assert pair.shadow.answer == [pytest.approx(bad.CONSTANT, abs=1e-6)]
        assert (pair.baseline.release, pair.shadow.release) == ("flights@1.0.0", "flights@1.1.0")
    assert list(ServerPairs(place.open().question()).since(began)) == found.pairs
    assert list(ServerPairs(place.open().question()).since(datetime.now(UTC))) == []

    # nobody marks a request from outside, nobody reads answers through the door, and after the shadow nothing is kept
    assert environments.ask(f"{door}/v2/shadow?mark=00000000&after=0")[0] == 403
    question = place.open().question()
    assert question
    assert question.baseline
    place.open().abort("tests")
    called(door, "after", times=5, **{"x-slipway-shadow": question.shadow})
    url = f"http://{question.baseline.addresses[0]}/v2/shadow?mark={question.shadow}&after=0"
    assert b'"after-' not in environments.ask(url)[2]


def test_a_shadow_that_fails_costs_callers_nothing(place: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deploy("1.0.0")
    monkeypatch.setattr(bad.FaultyTarget, "faults", {SHADOW: (0.3, 0.0)})
    strategy = place.environment.strategy.model_copy(update={"kind": "shadow", "share": 99.99})
    place.open().roll_out(place.release(SHADOW), strategy, Unasked(), "tests")
    called(str(place.open().actual().door), "failing", times=60)
    found = heard(place.open(), environments.ask, 59)
    failed = [pair for pair in found.pairs if pair.shadow.status == 500]
    assert failed
    assert all(pair.baseline.status == 200 and pair.shadow.answer is None for pair in failed)
    assert "internal error" in failed[0].shadow.said


class Unasked:
    """Lets a shadow rest without a look at it: what it answers is what is to be recorded."""

    def verify(self, question: Any) -> Any:
        from ci.rollout.interface import Answer, Verdict

        assert question.shadow
        return Verdict(Answer.NOT_WORSE, "unasked")


def test_containers_keep_pairs_as_well(image_layout: Path) -> None:
    made = a_place(image_layout)
    try:
        made.deploy("1.0.0")
        assert made.deploy(SHADOW, kind="shadow", share=99.99).outcome is Outcome.INCONCLUSIVE
        beside, _ = called(str(made.open().actual().door), "beside")
        send = environments.sender("flights", made.environment, made.shared)
        found = heard(made.open(), send, 29)
        assert len(found.pairs) >= 29
        assert all(pair.baseline.answer == pair.shadow.answer == beside[pair.request_id] for pair in found.pairs)
        inside = made.open()._moves.router.ask  # as on a remote engine
        assert ServerPairs(made.open().question(), inside).now().pairs == found.pairs
    finally:
        made.sweep()
