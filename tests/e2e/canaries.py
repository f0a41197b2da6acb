"""A place for canaries under real load: real servers, a real Envoy, the project's own test rows."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci.adapters import environments
from ci.adapters.http import ask
from ci.adapters.load import Plan, bodies, send
from ci.adapters.monitoring.looking import verifier
from ci.adapters.targets.process import free_port
from ci.adapters.targets.units import Units
from ci.adapters.wanted import _unsigned as unsigned
from ci.errors import Unavailable
from ci.params_environments import Environment, Strategy
from ci.params_verification import Verification
from ci.project import find
from ci.rollout.engine import Environments
from ci.rollout.interface import Moved
from ci.shared import Shared
from ci.verification.deciding import AtDeadline, FirstOfAll
from ci.verification.load import Tally
from tests.e2e import bad

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "artifacts/flights"
STEPS = ({"weight": 25, "pause_s": 0}, {"weight": 50, "pause_s": 0})
POLICY: dict[str, Any] = {
    "by": "statistics", "window_s": 1, "lag_s": 0.2, "stale_s": 3, "deadline_s": 90, "idle_s": 10, "patience_s": 10,
    "metrics": {  # these promises fit a short test on a busy machine; docs/how-to/verify.md has those for production
        "errors": {"negligible": 0.01, "limit": 0.01}, "door_errors": {"source": "envoy", "negligible": 0.01, "limit": 0.01},
        "slow": {"negligible": 0.1, "limit": 0.2, "margin": 2.0},
    },
}  # fmt: skip


@dataclass
class Canaries:
    """One environment; each `try_out` is a canary of its own."""

    folder: Path
    policy: dict[str, Any] = field(default_factory=lambda: dict(POLICY))
    rate: float = 200.0
    said: list[str] = field(default_factory=list)
    bundles: list[Path] = field(default_factory=lambda: [BUNDLE])

    @property
    def environment(self) -> Environment:
        return Environment.model_validate(
            {"name": "production", "root": str(self.folder), "keep_warm_s": 0, "verification": self.policy,
             "strategy": {"kind": "canary", "steps": STEPS}}
        )  # fmt: skip

    def open(self) -> Environments:
        folders = environments.FolderBundles(*self.bundles)
        return environments.running("flights", self.environment, Shared(projects=["flights"]), bundles=folders)

    @property
    def units(self) -> Units:
        return Units(self.folder / "flights/production/processes")

    def deploy(self, version: str, bundle: Path = BUNDLE, **strategy: Any) -> Moved:
        self.bundles.append(bundle)
        policy = Verification.model_validate(self.policy)
        looking = verifier(policy, self.said.append, [self.folder / "bundles"], self.folder / "evidence")
        asked = FirstOfAll(environments.health(), AtDeadline(looking, policy))
        how = Strategy.model_validate({"kind": "canary", "steps": STEPS, **strategy})
        return self.open().roll_out(unsigned("flights", version, bundle), how, asked, "tests")

    def try_out(
        self, version: str, bundle: Path = BUNDLE, fault: tuple[float, float] | None = None
    ) -> tuple[Moved, Tally, float]:
        """Put a release in under load; return how it ended, what callers saw, and the seconds that it took."""
        bad.FaultyTarget.faults = {version: fault} if fault else {}
        with self.load() as tally:
            began = time.monotonic()
            moved = self.deploy(version, bundle)
            took = time.monotonic() - began
        return moved, tally, took

    @contextmanager
    def load(self) -> Iterator[Tally]:
        """Send test rows through the door all the while; the tally is complete at the end."""
        tally, ended = Tally(), threading.Event()
        door, rows = str(self.open().actual().door), bodies(find("flights"))

        def work() -> None:
            found, _ = send(door, rows, Plan(self.rate, 600, 16), lambda _: None, ended.is_set)
            tally.requests, tally.failed, tally.times = found.requests, found.failed, found.times

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield tally
        finally:
            ended.set()
            thread.join(10)


def exposed(tally: Tally, version: str) -> tuple[int, int]:
    """Return how many requests a release answered, and how many of all failed."""
    return tally.requests[f"flights@{version}"], tally.failures


@contextmanager
def prometheus(folder: Path, target: str, path: str = "/metrics") -> Iterator[str]:
    """Run Debian's Prometheus on one target, each half second."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed")
    port, file = free_port(()), folder / "prometheus.yml"
    scrape = {"job_name": "envoy", "metrics_path": path, "static_configs": [{"targets": [target]}]}
    file.write_text(json.dumps({"global": {"scrape_interval": "500ms", "scrape_timeout": "400ms"}, "scrape_configs": [scrape]}))  # fmt: skip
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}",
               f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                if ask(f"http://127.0.0.1:{port}/-/ready")[0] == 200:
                    break
            except Unavailable:
                pass
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait(15)
