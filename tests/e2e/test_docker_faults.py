"""Faults of containers while callers call: docs/reference/faults.md tells what happens at each, here it does on an engine."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from bench.rollouts import Load
from ci.adapters.containers import PLACE, ROLE
from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.packaging import tars
from ci.params_packaging import Registry
from ci.releases.record import Packaged, Release
from tests.containers import BUNDLE, DockerPlace, a_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("SLIPWAY_TEST_LONG"), reason="takes a minute: SLIPWAY_TEST_LONG=1 runs it"),
]
SERVER = "import os, sys, threading, time\nif sys.orig_argv[-1] == 'serving':\n    "
NEVER_READY = SERVER + "time.sleep(1000)\n"
DIES_AFTER_3_S = SERVER + "threading.Timer(3, os._exit, [1]).start()\n"
ANSWERS_500 = f"""{SERVER}import serving.scoring as it
    async def predict(self, call):
        raise RuntimeError("a fault of the test's")
    it.Scoring.predict = predict
    from serving.quick import QuickWay
    QuickWay.take = lambda *_: None
"""


@dataclass
class FaultyPlace(DockerPlace):
    """Releases with a fault inside: the image of the flights bundle with one file more, under a digest of its own."""

    faulty: dict[str, str] = field(default_factory=dict)  # version to the file that Python reads before the server

    def release(self, version: str) -> Release:
        found = super().release(version)
        if version not in self.faulty:
            return found
        digest = f"sha256:{sha256(version.encode()).hexdigest()}"
        here = f"{self.base}:{digest.replace(':', '-')}"
        if self.engine.image(here) is None:
            self.target().prepare(found)
            image = self.engine.image(f"{self.base}:{found.packagings['service'].digest.replace(':', '-')}")
            assert image
            recipe = f"FROM {image.id}\nCOPY sitecustomize.py /opt/slipway/\n"
            with tempfile.TemporaryFile() as context:
                tars.write(
                    {"Dockerfile": recipe.encode(), "sitecustomize.py": self.faulty[version].encode()}, context, 0
                )
                context.seek(0)
                self.engine.build(context, here)
        return found.model_copy(update={"packagings": {"service": packaged(digest)}})


def packaged(digest: str) -> Packaged:
    return Packaged(repository="slipway/flights", digest=digest, size=1)


@pytest.fixture
def place(image_layout: Path) -> Iterator[FaultyPlace]:
    usual = a_place(image_layout)
    made = FaultyPlace(usual.layout, usual.base_image)
    yield made
    made.sweep()
    assert made.names() == []


def load(place: DockerPlace) -> Load:
    row = json.loads((BUNDLE / "golden.json").read_text())["rows"][0]
    return Load(str(place.open().actual().door), json.dumps(row).encode(), callers=2)


def as_before(place: DockerPlace) -> None:
    actual = place.open().actual()
    assert (actual.live, actual.weights, actual.held_by, actual.drift) == ("1.0.0", {"1.0.0": 100.0}, None, [])
    assert place.answer() == (200, "flights@1.0.0")


def test_bad_releases_and_bad_registries_cost_the_live_release_nothing(place: FaultyPlace) -> None:
    place.faulty = {"1.1.0": NEVER_READY, "1.2.0": ANSWERS_500, "1.3.0": DIES_AFTER_3_S}
    place.deploy("1.0.0")
    with load(place) as seen:
        place.settings["ready_s"] = 3
        with pytest.raises(BadInput, match=r"flights@v1\.1\.0: not ready after 3 s"):
            place.deploy("1.1.0", kind="canary")
        as_before(place)
        place.settings.pop("ready_s")
        moved = place.deploy("1.2.0", kind="canary")
        assert (moved.outcome, "answers an example row with 500" in moved.message) == (Outcome.ROLLED_BACK, True), moved
        as_before(place)
        moved = place.deploy("1.3.0", kind="canary", steps=[{"weight": 10, "pause_s": 5}])
        assert (moved.outcome, moved.live) == (Outcome.ROLLED_BACK, "1.0.0"), moved
        as_before(place)
    assert seen.faults_of("flights@1.0.0") == 0
    assert seen.sent > 50

    other = place.release("1.4.0").model_copy(update={"packagings": {"service": packaged("sha256:" + "0" * 64)}})
    for registry, problem in (
        (Registry(url="http://127.0.0.1:9"), Unavailable),
        (Registry(layout="/nowhere"), BadInput),
    ):
        place.shared = place.shared.model_copy(update={"registry": registry})
        with pytest.raises(problem, match=r"127\.0\.0\.1:9|0{12}"):
            place.open().roll_out(other, place.environment.strategy, place.verifier(), "tests")
        as_before(place)
    assert place.open().roll_back(place.release("1.0.0"), "tests").live == "1.0.0", "what is here needs no registry"


@pytest.fixture
def small_disk(place: FaultyPlace, tmp_path: Path) -> Iterator[Path]:
    """Keep the environment's state on a file system of 64 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode or not place.engine.local:
        pytest.skip("only root may mount a small file system, and only on the engine's machine")
    place.engine._client.api.create_volume(
        f"{place.base}-state", labels={PLACE: place.base, ROLE: "state"},
        driver_opts={"type": "none", "o": "bind", "device": str(folder)},
    )  # fmt: skip
    yield folder
    place.sweep()
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(path: Path) -> Iterator[None]:
    """Take whatever room there is, at once also what a file that is written anew lets go of."""
    done = Event()

    def fill() -> None:
        with path.open("wb", buffering=0) as target:
            while not done.is_set():
                try:
                    target.write(b"x" * 4096)
                except OSError:
                    done.wait(0.0002)

    filling = Thread(target=fill)
    filling.start()
    try:
        yield
    finally:
        done.set()
        filling.join()


def test_a_full_disk_of_the_engine_changes_nothing_and_room_is_enough(place: FaultyPlace, small_disk: Path) -> None:
    place.deploy("1.0.0")
    with filled(small_disk / "filler"), pytest.raises(Unavailable, match="no space left on device"):
        place.deploy("1.1.0", kind="canary")
    assert place.answer() == (200, "flights@1.0.0")
    (small_disk / "filler").unlink()
    assert place.open().abort("on call").outcome in {Outcome.PASSED, Outcome.ROLLED_BACK}
    as_before(place)
    assert place.deploy("1.1.0").live == "1.1.0"


@pytest.mark.skipif(not os.environ.get("SLIPWAY_TEST_ROUNDS"), reason="five seconds a round: SLIPWAY_TEST_ROUNDS=50")
def test_of_two_agents_one_goes_and_the_other_hears_who_does(place: FaultyPlace) -> None:
    place.deploy("1.0.0")

    def agent(who: str) -> str:
        try:
            return str(place.deploy("1.1.0", who=who).live)
        except StepError as error:
            return str(error)

    for number in range(int(os.environ["SLIPWAY_TEST_ROUNDS"])):
        with ThreadPoolExecutor() as both:
            said: list[Any] = list(both.map(agent, ["Ann", "Bob"]))
        assert "1.1.0" in said, (number, said)
        assert all(word == "1.1.0" or word.startswith("flights in staging: held by ") for word in said), (number, said)
        actual = place.open().actual()
        assert (actual.live, actual.held_by, actual.drift) == ("1.1.0", None, [])
        assert place.open().roll_back(place.release("1.0.0"), "tests").live == "1.0.0"
