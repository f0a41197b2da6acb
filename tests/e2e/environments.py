"""Environments of their own for tests: real servers, a real Envoy, releases made of one real bundle."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.adapters import environments
from ci.adapters.http import ask
from ci.adapters.targets.units import Units
from ci.adapters.wanted import _unsigned as unsigned
from ci.params_environments import Environment, Strategy
from ci.rollout.engine import Environments
from ci.rollout.interface import Moved
from ci.shared import Shared

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "artifacts/flights"
DEPLOY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.e2e.environments import Place
place = Place(Path(sys.argv[2]))
print(place.deploy(sys.argv[3], kind=sys.argv[4]).outcome.value)
"""


@dataclass
class Place:
    """One environment below a folder; `open` again and again, as agents do."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def open(self) -> Environments:
        bundles = environments.FolderBundles(BUNDLE)
        return environments.running("flights", self.environment, Shared(projects=["flights"]), bundles=bundles)

    @property
    def environment(self) -> Environment:
        return Environment(name="staging", root=str(self.folder), **{"lease_s": 5, **self.settings})

    @property
    def units(self) -> Units:
        return Units(self.folder / "flights/staging/processes")

    def release(self, version: str) -> Any:
        return unsigned("flights", version, BUNDLE)

    def deploy(self, version: str, *, kind: str = "blue_green", who: str = "tests", **more: Any) -> Moved:
        more.setdefault("steps", [{"weight": 10, "pause_s": 0.2}, {"weight": 50, "pause_s": 0.2}])
        return self.open().roll_out(
            self.release(version),
            Strategy(kind=kind, **more),
            environments.health(),
            who,  # type: ignore[arg-type]
        )

    def command(self, version: str, kind: str = "canary") -> list[str]:
        return [sys.executable, "-c", DEPLOY, str(ROOT), str(self.folder), version, kind]

    def answer(self, **headers: str) -> tuple[int, str]:
        door = str(self.open().actual().door)
        row = json.loads((BUNDLE / "golden.json").read_text())["rows"][0]
        status, found, _ = ask(f"{door}/predict", body=row, headers=headers)
        return status, found.get("x-slipway-release", "").split(";")[0]
