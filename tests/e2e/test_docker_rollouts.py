"""Releases come and go as containers behind Envoy in a container; callers see none of it, and nothing stays behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.rollouts import Load
from ci.adapters.containers import PLACE
from ci.errors import BadInput, Outcome, Unavailable
from tests.containers import BUNDLE, ROOT, DockerPlace, a_place

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
DEPLOY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.containers import DockerPlace
place = DockerPlace(Path(sys.argv[2]), sys.argv[3], prefix=sys.argv[4])
print(place.deploy("1.1.0", kind="canary").outcome.value)
"""


@pytest.fixture
def place(image_layout: Path) -> Iterator[DockerPlace]:
    made = a_place(image_layout)
    yield made
    made.sweep()
    assert made.names() == []


def settled(place: DockerPlace, seconds: float = 40) -> None:
    """Wait until reality is as intended, and the door answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if place.open().actual().drift == [] and place.answer()[0] == 200:
                return
        except Unavailable:
            pass  # the door is closed while Envoy is down
        assert time.monotonic() < deadline, place.open().actual().drift
        time.sleep(0.2)


def test_the_whole_story(place: DockerPlace) -> None:
    place.settings["instances"] = 2
    assert place.deploy("1.0.0").outcome is Outcome.PASSED
    door = str(place.open().actual().door)
    row = json.dumps(json.loads((BUNDLE / "golden.json").read_text())["rows"][0]).encode()
    with Load(door, row, callers=4) as load:
        moved = place.deploy("1.1.0", kind="canary")
        assert (moved.outcome, moved.live, moved.former) == (Outcome.PASSED, "1.1.0", "1.0.0")
        assert place.open().roll_back(place.release("1.0.0"), "tests").live == "1.0.0"
        server = next(name for name in place.names() if "v1-0-0" in name)
        place.kill(server)  # the other one answers in its place, and the engine starts it again
        settled(place)
    assert load.failures == []
    assert load.sent > 50
    assert set(load.versions) == {"flights@1.0.0", "flights@1.1.0"}
    assert place.open().actual().drift == []

    told = place.engine.find(f"{place.base}-envoy")
    assert told
    first = int(told["State"]["Pid"])
    (child,) = (Path("/proc") / f"{first}/task/{first}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)  # Envoy alone: its keeper starts it again at once
    settled(place)
    assert place.engine.find(f"{place.base}-envoy")["RestartCount"] == 0  # type: ignore[index]
    place.kill(f"{place.base}-envoy")
    settled(place)
    assert place.answer() == (200, "flights@1.0.0")
    assert str(place.open().actual().door) == door, "the port is kept"

    assert place.open().stop("tests").outcome is Outcome.PASSED
    assert place.names() == [f"{place.base}-state"], "only what remembers is left"
    assert place.open().actual().live is None


def test_statistics_are_no_way_to_admin(place: DockerPlace) -> None:
    place.deploy("1.0.0")
    told = place.engine.find(f"{place.base}-envoy")
    assert told
    published = {inside: found[0]["HostIp"] for inside, found in told["NetworkSettings"]["Ports"].items() if found}
    assert published == {"8000/tcp": "127.0.0.1", "9902/tcp": "127.0.0.1"}
    from ci.adapters.http import ask

    admin = place.open()._moves.router.admin
    assert ask(f"{admin}/ready")[0] == 200
    assert ask(f"{admin}/stats?filter=listener_manager")[0] == 200
    for path, method in (
        ("/quitquitquit", "POST"),
        ("/config_dump", "GET"),
        ("/stats", "POST"),
        ("/stats/../quitquitquit", "POST"),
    ):
        assert ask(f"{admin}{path}", method=method)[0] == 403
    inside = place.open()._moves.router.ask(f"{admin}/stats?filter=listener_manager")
    assert inside[0] == 200, "and a remote engine is asked from inside"
    assert place.open().actual().drift == []


def test_a_port_that_somebody_else_has_is_named(place: DockerPlace) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        place.settings["ports"] = {"flights": port}
        with pytest.raises(Unavailable, match=f"port {port} or .* is taken"):
            place.deploy("1.0.0")
    settled_names = [name for name in place.names() if name.endswith("-envoy")]
    assert settled_names == [], "nothing that tries again and again"


def test_a_bundle_folder_is_refused(place: DockerPlace) -> None:
    from ci.adapters import environments

    with pytest.raises(BadInput, match="--bundle: staging is a docker environment"):
        environments.running("flights", place.environment, place.shared, bundles=environments.FolderBundles(BUNDLE))


@pytest.mark.parametrize("after", ["deploy", "abort"])
def test_killed_at_any_instant_another_agent_finds_its_way(place: DockerPlace, after: str) -> None:
    place.deploy("1.0.0")
    draw = random.Random(f"docker {after}")
    for _ in range(int(os.environ.get("SLIPWAY_TEST_KILLS", "1"))):
        command = [sys.executable, "-c", DEPLOY, str(ROOT), str(place.layout), place.base_image, place.prefix]
        runner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(draw.uniform(1, 8))
        runner.send_signal(signal.SIGKILL)
        runner.communicate()
        assert place.answer()[0] == 200
        if after == "deploy":
            assert place.deploy("1.1.0", kind="canary").live == "1.1.0"
        else:
            assert place.open().abort("tests").outcome in {Outcome.PASSED, Outcome.ROLLED_BACK}
        actual = place.open().actual()
        assert (actual.held_by, actual.drift, len(actual.weights)) == (None, [], 1)
        assert place.answer() == (200, f"flights@{actual.live}")
        place.open().roll_back(place.release("1.0.0"), "tests")
    checks = [
        item
        for item in place.engine.listed({PLACE: place.base})
        if item["Labels"]["io.slipway.role"] in {"check", "lock"}
    ]
    assert checks == []


@pytest.mark.skipif(
    not os.environ.get("SLIPWAY_TEST_KILL_ENGINE"),
    reason="kills the engine of this machine; where nobody else uses it: SLIPWAY_TEST_KILL_ENGINE=1",
)
def test_the_engine_is_killed_and_everything_is_found_again(place: DockerPlace) -> None:
    place.settings["instances"] = 2
    place.deploy("1.0.0")
    place.deploy("1.1.0")
    door = str(place.open().actual().door)
    row = json.dumps(json.loads((BUNDLE / "golden.json").read_text())["rows"][0]).encode()
    pid_file = Path(os.environ.get("SLIPWAY_DOCKER_RUN", "/run/slipway-docker"), "dockerd.pid")
    with Load(door, row, callers=4) as load:
        time.sleep(1)
        before = len(load.failures)
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        began = time.monotonic()
        time.sleep(3)
        gone = (load.sent, len(load.failures))
        with pytest.raises(Unavailable, match="docker"):
            place.open().roll_back(place.release("1.0.0"), "tests")
        subprocess.run([ROOT / "ci/setup/docker", "start"], check=True, timeout=120)
        answers_s = time.monotonic() - began
        assert (
            place.open().reconcile("cron").outcome is Outcome.PASSED
        )  # an engine that comes back may stop what ran on
        settled(place, 90)
        print(f"{before} failed before, {gone[1]} of {gone[0]} in 3 s without the engine; it answered after {answers_s:.1f} s,"
              f" all was well after {time.monotonic() - began:.1f} s")  # fmt: skip
        assert before == 0
    assert place.answer() == (200, "flights@1.1.0")
    assert place.open().roll_back(place.release("1.0.0"), "tests").live == "1.0.0"
    assert place.open().actual().drift == []
