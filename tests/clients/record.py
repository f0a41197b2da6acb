"""
Record what KServe's and MLServer's clients send, so that each test run can send it again without them.

    python -m tests.clients.record kserve PYTHON     # a Python that has the client
    python -m tests.clients.record mlserver PYTHON

The client talks to our server through a door that writes down its requests; its answers must be the graph's own.
Writes tests/golden/clients/<name>.json.
"""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from tests.integration.serving.conftest import running
from tests.unit.serving import bundles

HERE, GOLDEN = Path(__file__).parent, Path(__file__).parents[1] / "golden" / "clients"
KEPT = ("content-type", "content-encoding", "inference-header-content-length", "accept", "accept-encoding")


def rows() -> list[dict[str, Any]]:
    """Rows without nulls, which these clients' codecs spell in ways of their own."""
    return [row for row in bundles.rows(40, seed=11) if None not in row.values()][:20]


def door(port: int, seen: list[dict[str, Any]]) -> http.server.ThreadingHTTPServer:
    """Pass requests on and write them down."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items() if name.lower() in KEPT}
            seen.append({"method": self.command, "path": self.path, "headers": headers,
                         "body": base64.b64encode(body).decode()})  # fmt: skip
            there = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            there.request(self.command, self.path, body, dict(self.headers.items()))
            answer = there.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_any  # noqa: N815 # what http.server calls

        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main(name: str, python: str) -> None:
    seen: list[dict[str, Any]] = []
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    version = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rows.json").write_text(json.dumps(rows()), "utf-8")
        with running(bundles.write(Path(folder) / "bundle")) as server:
            between = door(server.port, seen)
            command = [python, HERE / f"{name}_client.py", f"http://127.0.0.1:{between.server_port}"]
            done = subprocess.run([*command, Path(folder) / "rows.json"], capture_output=True, text=True)
            between.shutdown()
    assert done.returncode == 0, done.stderr[-3000:]
    wanted = bundles.predict(bundles.graph(), rows())
    for answers in json.loads(done.stdout.splitlines()[-1]):
        np.testing.assert_allclose(answers, wanted, atol=1e-6)
    GOLDEN.mkdir(exist_ok=True)
    document = {"client": f"{name} {version}", "requests": seen}
    (GOLDEN / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(f"{document['client']}: {len(seen)} requests")


if __name__ == "__main__":
    main(*sys.argv[1:])
