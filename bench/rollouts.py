"""
Move traffic under load and count what fails: `python bench/rollouts.py [--quick] [--target docker]`.

16 keep-alive connections POST one row each, again and again, to the front door of an environment that is made for
this alone; meanwhile weights change, servers are replaced, releases promoted and rolled back. Prints JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from typing import Self

from ci.adapters import environments
from ci.adapters.targets.units import Units
from ci.adapters.wanted import _unsigned as unsigned
from ci.params_environments import CanaryStep, Environment, Strategy
from ci.shared import Shared

BUNDLE = ROOT / "artifacts/flights"


@dataclass
class Load:
    """Callers with open connections; every answer but 200 is a failure."""

    door: str
    row: bytes
    callers: int = 16
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    faulty: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)  # when the last request was sent that a release answered
    pause_s: float = 0.0

    def __enter__(self) -> Self:
        self._done, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_problem: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(20)

    def faults_of(self, version: str) -> int:
        """Return how many requests a release answered with anything but 200."""
        return self.faulty.get(version, 0)

    def _call(self) -> None:
        place = self.door.removeprefix("http://")
        connection = http.client.HTTPConnection(place, timeout=20)
        while not self._done.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", "/predict", self.row, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                fault = "" if answer.status == 200 else str(answer.status)
                version = answer.getheader("x-slipway-release", "").split(";")[0]
            except (OSError, http.client.HTTPException) as error:
                fault, version = type(error).__name__, ""
                connection.close()
            with self._lock:
                self.sent += 1
                self.seconds.append(time.monotonic() - began)
                self.versions[version] = self.versions.get(version, 0) + 1
                self.last[version] = max(began, self.last.get(version, 0.0))
                if fault:
                    self.failures.append(fault)
                    self.faulty[version] = self.faulty.get(version, 0) + 1
            if self.pause_s:
                time.sleep(self.pause_s)


@dataclass
class Place:
    """An environment of its own, and two releases of one bundle."""

    folder: Path
    instances: int = 2

    def __post_init__(self) -> None:
        strategy = Strategy(kind="blue_green")
        self.environment = Environment(name="bench", root=str(self.folder), instances=self.instances, strategy=strategy)
        self.a, self.b = unsigned("flights", "1.0.0", BUNDLE), unsigned("flights", "1.1.0", BUNDLE)
        self.running = self.open()
        self.row = json.dumps(json.loads((BUNDLE / "golden.json").read_text())["rows"][0]).encode()

    def open(self):
        bundles = environments.FolderBundles(BUNDLE)
        return environments.running("flights", self.environment, Shared(projects=["flights"]), bundles=bundles)

    def pid(self, name: str) -> int | None:
        """Return the process of something whose name starts so."""
        alive = Units(self.folder / "flights/bench/processes").alive()
        return next((pid for unit, pid in alive.items() if unit.startswith(name)), None)

    def verifier(self):
        return environments.health()

    def deploy(self, release, strategy=None):
        how = strategy or self.environment.strategy
        return self.running.roll_out(release, how, self.verifier(), "bench")

    def end(self) -> None:
        """Leave nothing behind."""
        self.running.stop("bench")

    def load(self) -> Load:
        return Load(str(self.running.actual().door), self.row)


class DockerPlace(Place):
    """The same on a Docker engine, with the image of the bundle in a layout of its own."""

    def __post_init__(self) -> None:
        from tests import containers
        from tests.integration.engines import base_image

        self.made = containers.DockerPlace(self.folder, base_image(), {"instances": self.instances})
        self.environment = self.made.environment.model_copy(update={"strategy": Strategy(kind="blue_green")})
        self.a, self.b = self.made.release("1.0.0"), self.made.release("1.1.0")
        self.running = self.made.open()
        self.row = json.dumps(json.loads((BUNDLE / "golden.json").read_text())["rows"][0]).encode()

    def pid(self, name: str) -> int | None:
        found = next((item for item in self.made.names() if item.startswith(f"{self.made.base}-{name}")), None)
        told = self.made.engine.find(found) if found else None
        return int(told["State"]["Pid"]) or None if told else None

    def verifier(self):
        return self.made.verifier()

    def end(self) -> None:
        self.made.sweep()


def weights(place: Place, times: int) -> None:
    """Change weights through the steps of canaries that end where they began."""
    steps = [CanaryStep(weight=1 + i * 98 / times) for i in range(times)]
    place.deploy(place.b, Strategy(kind="canary", steps=steps))
    place.running.roll_back(place.a, "bench")


def replacements(place: Place, times: int) -> None:
    """Replace servers one by one, by rolling between two releases."""
    for turn in range(-(-times // place.instances)):
        place.deploy(place.a if turn % 2 else place.b, Strategy(kind="rolling"))


def promotions(place: Place, times: int, load: Load) -> dict[str, float]:
    """Promote and roll back; return the slowest roll-back, from command to effect (no caller gets the other one) and to end."""
    took, effective = [], []
    for _ in range(times):
        live = place.running.actual().live
        there, back = (place.b, place.a) if live == "1.0.0" else (place.a, place.b)
        place.deploy(there)
        began = time.monotonic()
        place.running.roll_back(back, "bench")
        took.append(time.monotonic() - began)
        time.sleep(0.2)  # whoever is still waited for was sent before
        effective.append(load.last[f"flights@{there.version}"] - began)
    return {"slowest rollback, effective_s": round(max(effective), 2), "slowest rollback, ended_s": round(max(took), 2)}


def kill(place: Place, name: str, times: int, pause_s: float = 2.0) -> None:
    """SIGKILL one of what runs under a name that starts so; the next only when all is well again: single crashes."""
    for _ in range(times):
        if found := place.pid(name):
            os.kill(found, signal.SIGKILL)
        time.sleep(pause_s)
        while place.running.actual().drift:
            time.sleep(0.1)


def main() -> None:
    """Run all of it and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--target", choices=["process", "docker"], default="process")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave nothing behind
    share = 10 if options.quick else 1
    told: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        place = (DockerPlace if options.target == "docker" else Place)(Path(folder))
        try:
            place.deploy(place.a)
            for name, work in {
                "weight changes": lambda _: weights(place, 100 // share),
                "replacements": lambda _: replacements(place, 20 // share),
                "promotions and rollbacks": lambda load: promotions(place, 10 // share, load),
                "server killed": lambda _: kill(place, "flights-", max(1, 5 // share)),
                "Envoy killed": lambda _: kill(place, "envoy", 1, 3.0),
            }.items():
                with place.load() as load:
                    found = work(load)
                ordered = sorted(load.seconds)
                told[name] = {
                    "requests": load.sent, "failed": len(load.failures), "of": sorted(set(load.failures)),
                    "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1),
                    **(found or {}),
                }  # fmt: skip
                print(name, told[name], file=sys.stderr, flush=True)
        finally:
            place.end()
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
