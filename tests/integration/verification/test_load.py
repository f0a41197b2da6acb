"""`steps.load` against doors that answer well, badly, late, strangely or not at all: every failure is counted."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ci.adapters.load import Plan, bodies, send
from ci.errors import BadInput, Unavailable
from ci.project import find

ROOT = Path(__file__).resolve().parents[3]


class Door(BaseHTTPRequestHandler):
    """Answers as its `manners` say by the number of the request; remembers what came."""

    protocol_version = "HTTP/1.1"
    manners: ClassVar[dict[int, str]] = {}
    came: ClassVar[list[tuple[str, bytes]]] = []
    turn = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.turn:
            self.came.append((self.headers["x-slipway-synthetic"], body))
            how = self.manners.get(len(self.came), "well")
        if how == "lost":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif how == "strange":
            self.wfile.write(b"SSH-2.0 hello\r\n\r\n")
        elif how == "huge":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
        else:
            time.sleep(1.0 if how == "late" else 0)
            self.send_response(500 if how == "500" else 200)
            self.send_header("x-slipway-release", "flights@1.0.0; bundle=sha256:0")
            if how == "chunked":
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
            else:
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

    def log_message(self, *told: object) -> None:
        pass


@contextmanager
def door(**manners: str) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    handler = type("Mine", (Door,), {"manners": {int(n[1:]): how for n, how in manners.items()}, "came": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.came
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_every_failure_is_counted_by_kind_and_the_load_goes_on() -> None:
    bad = {"n5": "500", "n9": "lost", "n12": "strange", "n15": "huge", "n18": "late", "n20": "chunked"}
    with door(**bad) as (url, came):
        tally, took = send(url, [b'{"a": 1}', b'{"a": 2}'], Plan(100, 1.5, 4, timeout_s=0.5), print)
    assert dict(tally.failed) == {
        ("flights@1.0.0", "500"): 1, ("nobody", "connection lost"): 1, ("nobody", "not an answer"): 2,
        ("nobody", "no answer in time"): 1,
    }  # fmt: skip
    assert tally.all == len(came) > 50
    assert took < 5
    assert {mark for mark, _ in came} == {"1"}
    assert {body for _, body in came} == {b'{"a": 1}', b'{"a": 2}'}


def test_the_rate_is_kept() -> None:
    with door() as (url, came):
        tally, _ = send(url, [b"{}"], Plan(50, 2, 2), print)
    assert tally.failures == 0
    assert 80 <= len(came) <= 100


def test_what_is_no_door_and_what_is_closed_are_told_apart() -> None:
    with pytest.raises(BadInput, match="is not an address"):
        send("ftp://nowhere", [b"{}"], Plan(1, 1, 1), print)
    with door() as (url, _):
        pass
    with pytest.raises(Unavailable, match="cannot be reached"):
        send(url, [b"{}"], Plan(1, 1, 1, 0.5), print)


@pytest.fixture
def rows_are_here() -> None:
    if not (ROOT / "data/flights/prepared/test.parquet").is_file():
        pytest.skip("no test rows of flights: run `make run` first")


def run(*options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "steps.load", "--project", "flights", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.usefixtures("rows_are_here")
def test_the_step_ends_with_0_3_2_and_5() -> None:
    quick = ("--rate", "50", "--seconds", "0.5")
    with door() as (url, came):
        code, said = run("--door", url, *quick)
        assert (code, "none failed" in said) == (0, True), said
        assert json.loads(came[0][1]).keys() == find("flights").contract.features.keys()
    with door(n3="500") as (url, _):
        assert run("--door", url, *quick)[0] == 3
    assert run(*quick)[0] == 2
    assert run("--door", url, *quick)[0] == 5


@pytest.mark.usefixtures("rows_are_here")
def test_rows_are_the_same_each_time_and_keep_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rows = bodies(find("flights"), 200)
    assert rows == bodies(find("flights"), 200)
    assert len(rows) == 200
    assert all(json.loads(row)["origin"] in {"EWR", "JFK", "LGA"} for row in rows)
