"""The real collection service, as a process of its own that a test may kill and start again on the same port."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.adapters.collector import Client
from ci.collecting import contracts
from ci.contract import plain
from ci.files import sha256_of
from tests.steps.checkout import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from ci.project import Project

TOKEN = "a-token-that-only-tests-have"  # noqa: S105
DEADLINE_S = 30


@dataclass
class Running:
    """One service with a database below `root`."""

    root: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What a step is told of it."""
        return {"SLIPWAY_COLLECTOR_URL": self.url, "SLIPWAY_COLLECTOR_TOKEN": TOKEN}

    def knows(self, project: Project) -> None:
        """Write a project's contract; a service that runs is told at its next start."""
        contracts.write([project], self.root / "contracts")

    def start(self) -> None:
        """Start, and wait until deliveries are taken."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "tokens").write_text(f"tests send,read,correct {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
        settings = {
            "CONTRACTS": self.root / "contracts", "TOKENS": self.root / "tokens", "PORT": self.port, "MIN_FREE_MB": 1,
            "STORE": f"sqlite:///{self.root / 'collector.db'}", "COMPACT_EVERY_S": 0,
        }  # fmt: skip
        environment = {**os.environ, **{f"COLLECTOR_{name}": str(value) for name, value in settings.items()}}
        with (self.root / "log").open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "collector"], cwd=ROOT, env=environment, stderr=log)
        self._ready(time.monotonic() + DEADLINE_S)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def client(self, project: Project, **options: Any) -> Client:
        """Return the pipeline's own door to it."""
        contract = sha256_of(plain(project.contract))
        return Client(self.url, project.name, TOKEN, "SLIPWAY_COLLECTOR_TOKEN", contract, **options)

    def _ready(self, until: float) -> None:
        assert self.process is not None
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.root / "log").read_text()
            lines = [json.loads(line) for line in (self.root / "log").read_text().splitlines() if line.startswith("{")]
            self.port = next((line["port"] for line in lines if line.get("event") == "listening"), self.port)
            if lines and self.port and self._answers():
                return
            time.sleep(0.05)
        raise AssertionError((self.root / "log").read_text())

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
