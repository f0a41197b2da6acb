"""A collection service of a test's own: the real one, on a free port, with a token that reads and sends."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.adapters.http import ask
from ci.errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-this-test-alone"  # noqa: S105


@dataclass
class Collection:
    """Where it listens; `post` sends NDJSON and returns what the service said."""

    url: str

    def post(self, project: str, kind: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Send records, events or outcomes, a thousand at a time."""
        said: dict[str, Any] = {}
        for start in range(0, len(rows), 1000):
            body = "".join(json.dumps(row) + "\n" for row in rows[start : start + 1000]).encode()
            headers = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {TOKEN}"}
            request = urllib.request.Request(f"{self.url}/v1/{project}/{kind}", body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.loads(answer.read())
            said = {
                key: said.get(key, 0) + found[key] for key in ("accepted", "duplicates", "restated", "rejected")
            } | {"results": [*said.get("results", []), *found["results"]][:3]}
        return said

    def get(self, path: str) -> Any:
        """Return a JSON answer."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


@contextmanager
def collecting(folder: Path, contracts: Path, port: int = 0) -> Iterator[Collection]:
    """Start the service with an SQLite store below a folder; stop it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = folder / "tokens"
    tokens.write_text(f"loop read,send,correct {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    tokens.chmod(0o600)
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    settings = {"PORT": port, "CONTRACTS": contracts, "TOKENS": tokens, "STORE": f"sqlite:///{folder / 'store.db'}",
                "MIN_FREE_MB": 16, "COMPACT_EVERY_S": 5, "LOG_LEVEL": "warning"}  # fmt: skip
    environment = {**os.environ, **{f"COLLECTOR_{name}": str(value) for name, value in settings.items()}}
    with (folder / "log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "collector"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield _ready(f"http://127.0.0.1:{port}", started, folder / "log")
    finally:
        started.terminate()
        started.wait(30)


def _ready(url: str, started: subprocess.Popen[bytes], log: Path) -> Collection:
    for _ in range(150):
        if started.poll() is not None:
            break
        try:
            if ask(f"{url}/v2/health/ready", timeout_s=2)[0] == 200:
                return Collection(url)
        except Unavailable:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the collection service did not start: {log.read_text()[-500:]}")
