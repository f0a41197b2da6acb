"""Faults while callers call; docs/reference/faults.md tells what happens at each, here it does."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from bench.rollouts import Load
from ci.adapters import environments
from ci.adapters.envoy import binary
from ci.adapters.targets.supervisor import STEADY_S
from ci.errors import BadInput, Outcome, Unavailable
from ci.params_packaging import Registry
from ci.releases.record import Packaged
from ci.shared import Shared
from tests.e2e import bad
from tests.e2e.environments import BUNDLE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
ROUNDS = int(os.environ.get("SLIPWAY_TEST_CRASHES", "2"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if not (BUNDLE / "manifest.json").is_file():
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    monkeypatch.setattr(environments, "ProcessTarget", bad.FaultyTarget)
    monkeypatch.setattr(bad.FaultyTarget, "faults", {})
    made = Place(tmp_path)
    yield made
    made.open().stop("tests")
    assert not made.units.alive()


def load(place: Place) -> Load:
    row = json.loads((BUNDLE / "golden.json").read_text())["rows"][0]
    return Load(str(place.open().actual().door), json.dumps(row).encode(), callers=4)


def well_again(place: Place, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while drift := place.open().actual().drift:
        assert time.monotonic() < deadline, drift
        time.sleep(0.1)


def test_one_of_two_servers_is_killed_and_no_caller_notices(place: Place) -> None:
    place.settings["instances"] = 2
    place.deploy("1.0.0")
    with load(place) as seen:
        for turn in range(ROUNDS):
            time.sleep(0.3)
            servers = sorted((name, pid) for name, pid in place.units.alive().items() if name.startswith("flights-"))
            os.kill(servers[turn % 2][1], signal.SIGKILL)
            time.sleep(0.3)
            well_again(place)
    assert seen.failures == []
    assert seen.sent > 50 * ROUNDS
    print(f"{ROUNDS} crashes, {seen.sent} requests, none failed")


def test_a_release_that_dies_after_a_while_goes_back_and_the_live_one_loses_nothing(place: Place) -> None:
    place.deploy("1.0.0")
    bad.FaultyTarget.faults = {"1.1.0": (0.0, 0.0, 2.0)}
    with load(place) as seen:
        moved = place.deploy("1.1.0", kind="canary", steps=[{"weight": 10, "pause_s": 4}, {"weight": 50, "pause_s": 4}])
    assert (moved.outcome, moved.live) == (Outcome.ROLLED_BACK, "1.0.0")
    assert "ended by themselves" in moved.message or "5xx" in moved.message or "example row" in moved.message
    assert seen.faults_of("flights@1.0.0") == 0
    assert place.open().actual().drift == []


def test_the_door_is_shut_for_a_moment_when_envoy_is_killed(place: Place) -> None:
    place.deploy("1.0.0")
    shut = []
    for _ in range(ROUNDS):
        time.sleep(STEADY_S + 0.5)  # what ends again and again is started again later each time
        os.kill(place.units.alive()["envoy"], signal.SIGKILL)
        began = time.monotonic()
        while True:
            try:
                if place.answer()[0] == 200:
                    break
            except Unavailable:
                assert time.monotonic() - began < 10
        shut.append(time.monotonic() - began)
        well_again(place)
    print(f"the door was shut for {min(shut):.2f} to {max(shut):.2f} s in {ROUNDS} rounds")


def test_a_registry_that_does_not_answer_and_one_that_has_it_not(place: Place, tmp_path: Path) -> None:
    place.deploy("1.0.0")
    missing = Packaged(repository="slipway/flights", digest="sha256:" + "0" * 64, size=1)
    release = place.release("1.1.0").model_copy(update={"bundle": "1" * 64, "packagings": {"data": missing}})
    for registry, problem, said in (
        (Registry(url="http://127.0.0.1:9"), Unavailable, "127.0.0.1:9"),
        (Registry(layout=str(tmp_path / "empty")), BadInput, "0{12}|not"),
    ):
        shared = Shared(projects=["flights"], registry=registry)
        running = environments.running("flights", place.environment, shared)
        with pytest.raises(problem, match=said):
            running.roll_out(release, place.environment.strategy, environments.health(), "tests")
        actual = place.open().actual()
        assert (actual.live, actual.weights, actual.held_by, actual.drift) == ("1.0.0", {"1.0.0": 100.0}, None, [])
        assert place.answer() == (200, "flights@1.0.0")
        warm = environments.running("flights", place.environment, shared)
        assert warm.roll_back(place.release("1.0.0"), "tests").live == "1.0.0", "what is here needs no registry"
