"""steps.deploy, abort, reconcile and stop as processes, with real servers and a real Envoy: every end that they name."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci.adapters.envoy import binary
from ci.adapters.http import ask
from ci.adapters.states import FolderState
from ci.adapters.targets.units import Units
from ci.errors import BadInput
from tests.steps.checkout import ROOT, Checkout, Ended

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMS = """\
projects: [shop]
environments:
  - {{name: staging, root: "{root}", lease_s: 5, ready_s: 6, strategy: {{kind: canary, steps: [{{weight: 10, pause_s: {pause}}}]}}}}
  - {{name: production, root: "{root}"}}
"""


class Place:
    """The shop's staging on this machine."""

    def __init__(self, checkout: Checkout, root: Path) -> None:
        self.checkout, self.root = checkout, root
        self.write(pause=0)
        self.folder = root / "shop/staging"
        self.units = Units(self.folder / "processes")

    def write(self, pause: float) -> None:
        (self.checkout.root / "params.yaml").write_text(PARAMS.format(root=self.root, pause=pause))

    def run(self, step: str, *arguments: str, code: int, said: str = "") -> Ended:
        ended = self.checkout.run(step, "--env", "staging", *arguments)
        assert (ended.code, said in ended.err) == (code, True), ended.err
        assert "Traceback" not in ended.err
        assert self.checkout.report(step)["exit_code"] == code
        return ended

    def deploy(self, version: str, *arguments: str, code: int, said: str = "") -> Ended:
        return self.run("deploy", "--release", version, "--bundle", "artifacts/shop", *arguments, code=code, said=said)

    def answer(self) -> str:
        """Ask for a golden row; return the release that answered it well."""
        state = json.loads((self.folder / "state.json").read_text())
        row = json.loads((self.checkout.root / "artifacts/shop/golden.json").read_text())["rows"][0]
        status, headers, raw = ask(f"http://127.0.0.1:{state['door']}/predict", body=row)
        assert status == 200, raw
        return headers["x-slipway-release"].split(";")[0]

    def spoil(self, file: str, before: str, line: str) -> None:
        """Add a line to the server's code as it lies with the environment: servers that run already have theirs."""
        (path,) = (self.root / "servers").glob(f"*/serving/{file}")
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, line + before, 1))

    def kill(self, version: str) -> None:
        for name, pid in self.units.alive().items():
            if f"-v{version.replace('.', '-')}-" in name:
                os.kill(pid, signal.SIGKILL)

    def silent(self, version: str, step: str, *, code: int, said: str) -> None:
        """Run a step while the servers of a release do not answer."""
        name = f"-v{version.replace('.', '-')}-"
        pids = [pid for unit, pid in self.units.alive().items() if name in unit]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.run(step, code=code, said=said)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def left_behind(self, version: str) -> None:
        """Begin a canary and kill its step while it waits."""
        self.write(pause=60)
        step = self.checkout.start(
            "deploy", "--env", "staging", "--release", version, "--bundle", "artifacts/shop", "--strategy", "canary"
        )
        deadline = time.monotonic() + 60
        while json.loads((self.folder / "state.json").read_text())["weights"].get(version) != 10:
            assert step.poll() is None, step.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.5)  # the stage is in effect
        step.kill()
        step.communicate()
        self.write(pause=0)


ANSWERS_500 = ("microbatch.py", "        future = self._future\n", "        raise RuntimeError('no')\n")
V1_IS_GONE = ("__main__.py", "if __name__ ==", "import sys\nif '0.1.0' in sys.argv: sys.exit('gone')\n")


def opened(built: Checkout, root: Path) -> Iterator[Place]:
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    (built.root / "serving").symlink_to(ROOT / "serving")
    place = Place(built, root)
    yield place
    place.run("stop", code=0)
    assert not place.units.alive()


@pytest.fixture
def place(built: Checkout, tmp_path: Path) -> Iterator[Place]:
    yield from opened(built, tmp_path / "environments")


def test_bad_input_is_2_and_leaves_nothing(place: Place) -> None:
    for step in ("deploy", "abort", "reconcile", "stop", "pairs"):
        more = ["--release", "v0.1.0", "--bundle", "artifacts/shop"] if step == "deploy" else []
        ended = place.checkout.run(step, "--env", "nowhere", *more)
        assert (ended.code, "--env: nowhere: no such environment" in ended.err) == (2, True), ended.err
    ended = place.checkout.run("deploy", "--env", "production", "--release", "v0.1.0", "--bundle", "artifacts/shop")
    assert (ended.code, "production: takes releases of the ledger only" in ended.err) == (2, True), ended.err
    place.run("deploy", code=2, said="--release: missing")
    assert not place.root.exists()


def test_deployed_reconciled_aborted_and_stopped(place: Place) -> None:
    place.deploy("v0.1.0", "--dry-run", code=0, said="would take shop@v0.1.0 into staging")
    place.run("reconcile", code=0, said="nothing was ever deployed here")
    place.deploy("v0.1.0", code=0, said="shop@v0.1.0 is live")
    place.run("abort", code=0, said="no rollout to abort; live is 0.1.0")
    place.run("pairs", code=4, said="shop in staging: no shadow runs")
    place.deploy("v0.2.0", "--strategy", "shadow", code=4, said="shadow runs until told to end")
    for _ in range(20):  # half of them are copied
        place.answer()
    place.run("pairs", code=0, said="pairs of answers, 0 differ, by 0 at most; the shadow failed in 0")
    place.silent("0.1.0", "pairs", code=5, said="/v2/shadow")
    place.deploy("v0.3.0", code=5, said="0.2.0: held by ")
    place.run("reconcile", code=0)  # what rests is left alone
    place.run("abort", code=6, said="0.1.0 is live again")
    assert place.answer() == "shop@0.1.0"
    with FolderState(place.folder).hold("Ann"):
        place.run("reconcile", code=5, said="shop in staging: held by Ann since ")
    place.run("stop", code=0, said="stopped")
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", json.loads((place.folder / "state.json").read_text())["door"]))
        stranger.listen()
        place.run("abort", code=5, said="is taken by somebody else")


def test_worse_is_6_and_what_cannot_be_restored_is_7(place: Place) -> None:
    place.deploy("v0.1.0", code=0)
    place.spoil(*ANSWERS_500)
    place.deploy("v0.2.0", code=6, said="answers an example row with 500; 0.1.0 is live again")
    assert place.answer() == "shop@0.1.0"
    place.spoil(*V1_IS_GONE)
    place.deploy("v0.3.0", "--strategy", "rolling", code=7, said="and back: shop@v0.1.0: not ready after 6 s")


@pytest.mark.parametrize(("step", "code"), [("abort", 7), ("reconcile", 7), ("reconcile", 6)])
def test_left_behind(place: Place, step: str, code: int) -> None:
    place.deploy("v0.1.0", code=0)
    place.left_behind("0.2.0")
    if step == "reconcile":
        place.run("reconcile", code=0, said="0.2.0: its runner may still come back")
        time.sleep(5)
    if code == 7:
        place.spoil(*V1_IS_GONE)
        place.kill("0.1.0")
    place.run(step, code=code, said="not ready after 6 s" if code == 7 else "its runner vanished; 0.1.0 is live again")
    if code == 6:
        assert place.answer() == "shop@0.1.0"


@pytest.fixture
def small_disk(built: Checkout, tmp_path: Path) -> Iterator[Place]:
    """An environment on a file system of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield from opened(built, folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_5_and_callers_are_answered(small_disk: Place) -> None:
    small_disk.deploy("v0.1.0", code=0)
    filler = small_disk.root / "filler"
    with filler.open("wb", buffering=0) as target, suppress(OSError):
        while True:
            target.write(b"x" * 4096)
    small_disk.deploy("v0.2.0", code=5, said="no space left on the device")
    assert small_disk.answer() == "shop@0.1.0"
    filler.unlink()
    small_disk.run("reconcile", code=0, said="live is 0.1.0")
    assert small_disk.answer() == "shop@0.1.0"
