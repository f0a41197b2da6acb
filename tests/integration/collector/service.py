"""The collection service as a process of its own, on a port that it chose."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.unit.collector import shop

ROOT = Path(__file__).parents[3]
TOKEN = "test-token-of-everybody"  # noqa: S105
READER = "test-token-of-a-reader"


class Service:
    """Started anew as often as a test likes; what it stored is in its folder, or where `store` says."""

    def __init__(
        self, folder: Path, *options: str, store: str = "", contracts: list[dict[str, Any]] | None = None
    ) -> None:
        self.folder, self.options = folder, options
        (folder / "contracts").mkdir(exist_ok=True)
        for found in contracts or [shop.document()]:
            (folder / "contracts" / f"{found['project']}.json").write_text(json.dumps(found))
        names = {"everybody": ("send,read,correct", TOKEN), "reader": ("read:shop", READER)}
        tokens = [f"{name} {scopes} {sha256(token.encode()).hexdigest()}" for name, (scopes, token) in names.items()]
        (folder / "tokens").write_text("\n".join(tokens))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("COLLECTOR_", "SLIPWAY_"))},
            "COLLECTOR_PORT": "0",
            "COLLECTOR_CONTRACTS": str(folder / "contracts"),
            "COLLECTOR_TOKENS": str(folder / "tokens"),
            "COLLECTOR_STORE": store or f"sqlite:///{folder}/store.db",
            "COLLECTOR_WORK": str(folder / "parquet"),
            "COLLECTOR_HASH_KEY": shop.HASH_KEY,
            "COLLECTOR_MIN_FREE_MB": "1",
        }
        self.start()

    def start(self) -> Service:
        command = [sys.executable, "-m", "collector", *self.options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=self.environment)
        self.lines: list[dict[str, Any]] = []
        self._fresh: queue.Queue[dict[str, Any] | None] = queue.Queue()
        reading = (self.process, self.lines, self._fresh)
        threading.Thread(target=_read, args=reading, daemon=True).start()
        self.port: int = self.wait_for("listening")["port"]
        return self

    def wait_for(self, event: str, within_s: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while True:
            line = self._fresh.get(timeout=max(0.01, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"the service ended before it said {event!r}: {self.lines}")
            if line["event"] == event:
                return line

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = TOKEN, packed: bool = False, **headers: str
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            raw = shop.lines(*body) if isinstance(body, list) else body
            fields = {"Content-Type": "application/x-ndjson"} if raw is not None else {}
            fields |= {"Authorization": f"Bearer {token}"} if token else {}
            if packed:
                raw, fields["Content-Encoding"] = gzip.compress(raw), "gzip"
            connection.request(method, path, raw, fields | {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            self.headers = dict(answer.headers.items())
            return answer.status, _decoded(answer.read(), answer.headers.get("content-type", ""))
        finally:
            connection.close()

    def send(self, kind: str, *documents: Any) -> dict[str, Any]:
        status, answer = self.ask("POST", f"/v1/shop/{kind}", list(documents))
        assert status == 200, answer
        return answer

    def state(self) -> dict[str, Any]:
        return self.ask("GET", "/v1/shop")[1]

    def periods(self) -> list[dict[str, Any]]:
        status, answer = self.ask("GET", "/v1/shop/periods")
        assert status == 200, answer
        return answer["periods"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def _read(process: Any, lines: list[dict[str, Any]], fresh: Any) -> None:
    """Read the log of one process; a former one's end must not be taken for its successor's."""
    for line in process.stderr:
        document = json.loads(line) if line.startswith("{") else {"event": "not json", "line": line}
        lines.append(document)
        fresh.put(document)
    fresh.put(None)


def _decoded(raw: bytes, kind: str) -> Any:
    if "ndjson" in kind:
        return [json.loads(line) for line in raw.splitlines()]
    if "json" in kind:
        return json.loads(raw)
    return raw if "parquet" in kind else raw.decode()
