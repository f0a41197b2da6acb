"""The collection service as containers: its image is tried, runs as nobody, read-only, and keeps what it acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from hashlib import sha256

import pytest

from ci.adapters.envoy import binary
from ci.adapters.http import ask
from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.report import Found
from tests.collectors_in_containers import ContainerPlace
from tests.e2e.collectors import TOKEN, Sender, record, send, stored
from tests.integration.engines import base_image

pytestmark = pytest.mark.slow


@pytest.fixture
def place(image_layout, tmp_path):
    try:
        binary()
        made = ContainerPlace(tmp_path, image_layout, base_image())
        made.product("1.0.0")
    except (Unavailable, StepError) as error:  # wheels that nobody downloaded, and no index
        pytest.skip(str(error))
    yield made
    made.sweep()
    assert made.engine.listed({"io.slipway.environment": made.base}) == []


def test_the_image_is_tried_and_its_data_outlives_kills_and_releases(place):
    checks = {check.name: check for check in place.product("1.0.0").checks}
    assert {check.outcome for check in checks.values()} == {Found.PASSED}, checks
    wanted = {"description", "start", "contents", "confinement", "release", "stranger", "own user"}
    assert set(checks) == {*wanted, "shop: golden record", "shop: bad record", "shop: periods"}

    wrong = place.release("1.0.0").model_copy(update={"bundle": "3" * 64, "version": "3.0.0"})
    with pytest.raises(BadInput, match=r"collector@v3\.0\.0: the image that came is not of the bundle"):
        place.open().roll_out(wrong, place.environment.strategy, None, "tests")
    moved = place.deploy("1.0.0")
    assert (moved.outcome, moved.live) == (Outcome.PASSED, "1.0.0"), moved.message
    (name,) = place.servers()
    told = place.engine.find(name)
    host, config = told["HostConfig"], told["Config"]
    assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"]) == (True, False, ["ALL"])
    assert int(config["User"].split(":")[0]) > 0
    assert host["Memory"] == 1024 << 20
    mounts = {item["Destination"]: (item["Type"], item["RW"]) for item in told["Mounts"]}
    assert mounts == {"/data": ("volume", True), "/run/slipway": ("volume", False)}
    assert TOKEN not in str(told)
    assert "COLLECTOR_TOKENS=/run/slipway/tokens" in config["Env"]

    sender = Sender(place.door, 0)
    sender.start()
    until(lambda: len(sender.acknowledged) > 100)
    os.kill(int(told["State"]["Pid"]), signal.SIGKILL)  # the engine starts it again
    so_far = len(sender.acknowledged)
    until(lambda: len(sender.acknowledged) > so_far + 100)
    subprocess.run(["docker", "kill", name], check=True, capture_output=True)  # the engine believes that it is meant
    assert place.open().reconcile("tests").outcome is Outcome.PASSED
    so_far = len(sender.acknowledged)
    until(lambda: len(sender.acknowledged) > so_far + 100)

    place.tokens.write_text(place.tokens.read_text() + f"other read {sha256(b'the-other-token').hexdigest()}\n")
    assert place.deploy("1.0.0").outcome is Outcome.PASSED
    other = {"authorization": "Bearer the-other-token"}
    until(lambda: ask(f"{place.door}/v1/shop", headers=other)[0] == 200)

    place.tokens.unlink()  # another agent does not have it: the environment does
    assert place.deploy("2.0.0").outcome is Outcome.PASSED
    assert send(place.door, [record(500_000, "Łódź")])[1]["accepted"] == 1
    assert place.open().roll_back(place.release("1.0.0"), "tests").outcome is Outcome.PASSED
    assert send(place.door, [record(500_001, "Łódź")])[1]["rejected"] == 1
    sender.stop()
    assert sender.rejected == []
    assert stored(place.door) == [*sender.acknowledged, 500_000]
    assert place.open().stop("tests").outcome is Outcome.PASSED
    assert place.servers() == []
    assert place.engine.has_volume(f"{place.base}-data"), "what was collected outlives steps.stop"


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
