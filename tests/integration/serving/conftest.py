from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.serving import bundles

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


class Server:
    """The server as a process of its own, on a port that it chose."""

    def __init__(self, folder: Path, *options: str, **more: Any) -> None:
        command = [sys.executable, "-m", "serving", "--model", str(folder), "--port", "0", *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLIPWAY_", "MODEL_URI"))}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment | more.pop("env", {}), **more
        )
        self.lines: list[dict[str, Any]] = []
        self._fresh: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port: int = self.wait_for("listening")["port"]

    def _read(self) -> None:
        for line in self.process.stderr:
            document = json.loads(line) if line.startswith("{") else {"event": "not json", "line": line}
            self.lines.append(document)
            self._fresh.put(document)
        self._fresh.put(None)

    def wait_for(self, event: str, within_s: float = 10) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while True:
            line = self._fresh.get(timeout=max(0.01, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"the server ended before it said {event!r}: {self.lines}")
            if line["event"] == event:
                return line

    def wait_ready(self) -> Server:
        deadline = time.monotonic() + 10
        while self.ask("GET", "/v2/health/ready")[0] != 200:
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)
        return self

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = self.connection()
        try:
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            fields = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, raw, fields)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if "json" in answer.headers["content-type"] else content.decode()
        finally:
            connection.close()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(10)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two bundles that answer differently."""
    root = tmp_path_factory.mktemp("bundles")
    return [bundles.write(root / str(seed), seed=seed) for seed in (0, 1)]


@pytest.fixture
def folder(made: list[Path], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made[0], tmp_path / "bundle"))


@contextlib.contextmanager
def running(folder: Path, *options: str, **more: Any) -> Iterator[Server]:
    server = Server(folder, *options, **more)
    try:
        yield server.wait_ready()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(10)


@pytest.fixture(scope="session")
def server(made: list[Path]) -> Iterator[Server]:
    """One server for the tests that do it no harm."""
    options = ("--release-version", "1.4.0", "--body-timeout-s", "0.5", "--header-timeout-s", "0.5")
    with running(made[0], *options, "--max-body-bytes", "100000", "--max-inflated-bytes", "200000") as found:
        yield found
        errors = [line for line in found.lines if line["level"] == "error"]
        assert not errors, errors[0].get("traceback", errors[0])
