"""The life of the process: start, overload, drain, events, where it may run."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.serving.conftest import ROOT, Server, running
from tests.unit.serving import bundles

ROW = bundles.ROW


def test_starts_well_under_a_second(made):
    """By processor time, which a busy machine stretches least."""
    spent = []
    for _ in range(3):
        with running(made[0]) as server:
            used = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
            spent.append(sum(map(int, used)) / os.sysconf("SC_CLK_TCK"))
    assert min(spent) < 1.0


def test_a_signal_that_comes_before_it_serves_ends_it_with_0(made):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "serving", "--model", str(made[0]), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    while process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()  # it listens, and is not ready by far
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--model: missing"),
        (["--model", "x", "--port", "no"], "--port: 'no' is not a whole number"),
        (["--model", "x", "--host", "192.0.2.1"], "--host 192.0.2.1"),
    ],
)
def test_bad_options_end_with_2(argv, words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "serving", *argv], capture_output=True, text=True, cwd=ROOT, timeout=10, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not [name for name in ("onnxruntime", "uvicorn", "uvloop") if f" {name}\n" in done.stderr]  # told at once


def test_nothing_of_uvicorns_command_line_is_imported(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "serving", "--model", str(tmp_path / "none"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert done.returncode == 2
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"uvicorn.server", "uvicorn.config", "uvloop"} <= imported
    assert not imported & {"uvicorn", "uvicorn.main", "click", "multiprocessing"}


def test_a_tampered_bundle_is_refused_by_name_and_ends_with_2(folder):
    (folder / "model.onnx").write_bytes(b"x" * (folder / "model.onnx").stat().st_size)
    server = Server(folder)
    refused = server.wait_for("bundle refused")
    assert refused["reason"] == "digest"
    assert refused["message"].startswith("model.onnx")
    assert server.process.wait(10) == 2


def test_sigterm_finishes_what_is_under_way(made):
    body = json.dumps({"records": bundles.rows(9000)}).encode()
    with running(made[0], "--max-body-bytes", "10000000") as server, concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(server.ask, "POST", "/predict", body) for _ in range(4)]
        idle = server.connection()
        idle.connect()
        time.sleep(0.1)
        assert server.end() == 0
        assert [len(task.result()[1]["predictions"]) for task in waiting] == [9000] * 4
        assert server.lines[-1]["event"] == "stopped"


def test_while_it_drains_it_says_so_and_still_answers(made):
    with running(made[0], "--drain-s", "1") as server:
        server.signal(signal.SIGTERM)
        server.wait_for("draining")
        assert server.ask("GET", "/v2/health/ready")[0] == 503
        assert server.ask("GET", "/v2/health/live")[0] == 200
        assert server.ask("POST", "/predict", ROW)[0] == 200
        assert server.process.wait(10) == 0


def test_overload_is_answered_with_503_and_the_rest_goes_on(made):
    with running(made[0], "--max-concurrency", "2", "--max-heavy", "2") as server:
        body = json.dumps({"records": bundles.rows(2000)}).encode()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: server.ask("POST", "/predict", body)[0], range(48)))
        assert set(answers) == {200, 503}
        assert server.ask("POST", "/predict", ROW)[0] == 200
        page = server.ask("GET", "/metrics")[1]
        assert 'route="predict",outcome="unavailable"' in page


def test_too_many_connections_are_told(made):
    with running(made[0], "--max-connections", "3") as server:
        held = [server.connection() for _ in range(3)]
        for connection in held:
            connection.connect()
        time.sleep(0.1)
        assert server.ask("GET", "/v2")[0] == 503
        for connection in held:
            connection.close()
        server.wait_ready()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_a_random_user_with_nothing_to_write(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "bundle")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    environment = {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": "/nonexistent"}
    try:
        with running(tmp_path / "bundle", user=54321, group=54321, extra_groups=[], env=environment) as server:
            assert server.ask("POST", "/predict", ROW)[0] == 200
            assert server.end() == 0
    except PermissionError:
        pytest.skip("another user cannot read this checkout's interpreter")


def test_nothing_is_written(made, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    places = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")}
    with running(made[0], env=places | {"CI": ""}) as server:
        assert server.ask("POST", "/predict", ROW)[0] == 200
        assert server.end() == 0
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(("module", "variable"), [("serving", "SLIPWAY_SERVING_PORT"), ("collector", "COLLECTOR_PORT")])
def test_the_health_check_of_both_services(server, module, variable):
    check = [sys.executable, "-m", f"{module}.healthcheck"]
    for port, code in ((str(server.port), 0), ("1", 1), ("none", 1)):
        done = subprocess.run(check, cwd=ROOT, env={**os.environ, variable: port}, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (code, b"")


def test_events_reach_a_collector(made, tmp_path):
    received: list[bytes] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    collector = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{collector.server_port}/events"
    options = ("--events-rate", "1", "--events-url", url, "--events-file", str(tmp_path / "events.ndjson"))
    with running(made[0], *options) as server:
        for number in range(20):
            assert server.ask("POST", "/predict", ROW, x_request_id=f"id-{number}")[0] == 200
        assert server.end() == 0
    collector.shutdown()
    events = [json.loads(line) for line in b"".join(received).splitlines()]
    assert {event["request_id"] for event in events} == {f"id-{number}" for number in range(20)}
    assert events[0]["inputs"] == ROW
    assert (tmp_path / "events.ndjson").read_bytes() == b"".join(received)
