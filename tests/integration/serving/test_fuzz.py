"""
Bodies, heads and framing that nobody sends by accident: no 5xx, no hang, no growth, and an answer right after.

For longer: SLIPWAY_TEST_FUZZ=50000 pytest tests/integration/serving/test_fuzz.py
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import socket
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.serving.conftest import running
from tests.integration.serving.test_protocol import HEAD, mutants
from tests.unit.serving import bundles
from tests.unit.serving.test_tensor_rows import request

if TYPE_CHECKING:
    from tests.integration.serving.conftest import Server

REQUESTS = int(os.environ.get("SLIPWAY_TEST_FUZZ", "3000"))
GROWTH = 24 * 2**20  # bytes; caches and the allocator's arenas fill once
ROW = json.dumps(bundles.ROW).encode()

NASTY = [
    b'{"temp": NaN}', b'{"temp": -Infinity}', b'{"temp": Infinity}', b'{"temp": nan}', b'{"temp": 0x10}', b'{"temp": 1_000}', b'{"temp": .5}',
    b"[" * 100_000, b'{"a":' * 100_000, b'{"records":' * 50_000, b'{"columns":{"temp":' + b"[" * 90_000,
    ROW.replace(b"39.02", b"9" * 5000), ROW.replace(b"39.02", b"1e999999999"), ROW.replace(b"39.02", b"-0.0"), ROW.replace(b"1400", b"9" * 400),
    ROW.replace(b'"UA"', b'"\\ud800"'), ROW.replace(b'"UA"', b'"\\udc00\\ud800"'), ROW.replace(b'"UA"', b'"\xed\xa0\x80"'),
    ROW.replace(b'"UA"', b'"\\u0000"'), ROW.replace(b'"UA"', b'"' + "e\u0301".encode() * 30_000 + b'"'), ROW.replace(b"UA", b"\xff"),
    ROW[:-1] + b', "temp": 1}', ROW[:-1] + b', "temp": "x"}', ROW[:-1] + b', "": 1}', ROW + ROW, ROW + b"\0", b"\xef\xbb\xbf" + ROW,
    ROW.decode().encode("utf-16"), b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b'{"records": null}', b'{"records": [[]]}', b'{"columns": {}}',
    b'{"records": [' + b",".join([b"{}"] * 9000) + b"]}", b'{"records": [' + b",".join([b"null"] * 20_000) + b"]}",
    b'{"inputs": []}', b'{"inputs": null}', b'{"inputs": [{}]}',
    b'{"inputs": [{"name": "temp", "shape": [99999999999999999999], "datatype": "FP32", "data": []}]}',
    b'{"inputs": [{"name": "temp", "shape": [-1], "datatype": "FP32", "data": []}]}',
]  # fmt: skip
PATHS = ["/predict", "/v2/models/flights/infer", "/v2/models/flights/versions/1.4.0/infer", "/v2/repository/index"]
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "application/octet-stream",
    "text/plain",
    "a" * 5000,
    "\xff",
    ";",
    "",
]


def tensor_mutants(seed: int, count: int) -> list[bytes]:
    """Requests of the protocol with values, datatypes, shapes and whole members changed."""
    rng, found = random.Random(seed), []
    odd = [
        None,
        True,
        -1,
        0,
        1,
        2**63,
        2**64,
        1.5,
        "x",
        "",
        [],
        [[]],
        {},
        [1],
        [2**70],
        "FP16",
        "UINT8",
        "BYTES",
        "INT64",
        [[1400]],
        ["\0"],
    ]
    for _ in range(count):
        document = request()
        for _ in range(rng.randint(1, 3)):
            tensor = rng.choice(document["inputs"])
            tensor[rng.choice([*tensor, "parameters"])] = rng.choice(odd)
        if rng.random() < 0.2:
            document[rng.choice(["id", "outputs", "parameters", "inputs"])] = rng.choice(odd)
        found.append(json.dumps(document).encode())
    return found


def packed(rng: random.Random, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Wrap a body at random: as it is, compressed, compressed wrongly, or with a length of its JSON part."""
    kind = rng.random()
    if kind < 0.7:
        return body, {}
    if kind < 0.8:
        return gzip.compress(body, 1), {"Content-Encoding": "gzip"}
    if kind < 0.85:
        return zlib.compress(body)[: rng.randint(1, 40)], {"Content-Encoding": "deflate"}
    if kind < 0.9:
        return body, {"Content-Encoding": rng.choice(["gzip", "deflate", "br", "gzip, gzip", "identity", "\xff"])}
    return body, {
        "Inference-Header-Content-Length": rng.choice(["0", "7", str(len(body)), "99999999999999999", "-1", "x"])
    }


def resident(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_bodies(made):
    rng = random.Random(5)
    corpus = [*mutants(2, 400), *tensor_mutants(3, 400), *NASTY, *NASTY]
    with running(made[0], "--release-version", "1.4.0") as server:
        connection, seen, slowest, before = server.connection(), set(), 0.0, 0
        for number in range(REQUESTS):
            body, headers = packed(rng, rng.choice(corpus))
            kind = "application/json" if rng.random() < 0.9 else rng.choice(TYPES)
            start = time.perf_counter()
            connection.request("POST", rng.choice(PATHS), body, {"Content-Type": kind, **headers})
            answer = connection.getresponse()
            content = answer.read()
            slowest = max(slowest, time.perf_counter() - start)
            assert answer.status < 500, (body[:500], headers, content)
            assert b"Traceback" not in content
            seen.add(answer.status)
            if number == REQUESTS // 3:
                before = resident(server)
        grown = resident(server) - before
        assert {200, 400, 413, 415, 422} <= seen | {413}
        assert grown < GROWTH, grown
        assert slowest < 5
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200
        print(f"{REQUESTS:,} bodies: {sorted(seen)}, slowest {slowest * 1000:.0f} ms, grown by {grown / 2**20:.1f} MiB")


def test_bombs_stay_small(made):
    """A hundred times sixteen KiB that would be sixteen MiB each, and some that would be a GiB."""
    bombs = [
        gzip.compress(b" " * 2**24, 9),
        gzip.compress(gzip.compress(b"0" * 2**24, 9)),
        gzip.compress(b"[" * 2**24, 9),
    ]
    engine = zlib.compressobj(9, wbits=31)
    bombs.append(b"".join(engine.compress(bytes(2**20)) for _ in range(1024)) + engine.flush())
    with running(made[0]) as server:
        before = resident(server)
        for number in range(100):
            status, _ = server.ask("POST", "/predict", bombs[number % 4], content_encoding="gzip")
            assert 400 <= status < 500
        assert resident(server) - before < 80 * 2**20  # one decompressed body at a time, and its JSON
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200


def framing(rng: random.Random) -> bytes:
    """A request, or several, with something changed on the way."""
    good = HEAD.replace(b"50", b"%d" % len(ROW)) + ROW
    chunked = HEAD.replace(b"Content-Length: 50", b"Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (
        len(ROW),
        ROW,
    )
    found = bytearray(
        rng.choice([good, chunked, good * 3, chunked + good, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"])
    )
    odd = [b"\r\n", b"\n", b"\0", b"\xff", b" ", b":", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"X: " + b"y" * 70_000,
           b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Expect: 100-continue\r\n", b"HTTP/9.9", b"ffffffffffffffff\r\n", b"-1"]  # fmt: skip
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(min(len(found), 220))
        if rng.random() < 0.5:
            found[place:place] = rng.choice(odd)
        else:
            del found[place : place + rng.randint(1, 12)]
    return bytes(found)


def test_framing(made):
    rng, count = random.Random(8), REQUESTS // 10
    with running(made[0], "--header-timeout-s", "1", "--body-timeout-s", "1") as server:
        before = resident(server)
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                raw = framing(rng)
                cut = rng.randrange(len(raw))
                try:
                    connection.sendall(raw[:cut])
                    connection.sendall(raw[cut:])
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(65536)
                except TimeoutError:
                    raise AssertionError(raw) from None
                except OSError:
                    continue  # it was refused before it was sent to the end
                assert not answer.startswith(b"HTTP/1.1 5"), raw
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200
        assert resident(server) - before < GROWTH
        errors = [line for line in server.lines if line["level"] == "error"]
        assert not errors, errors[0].get("traceback")


def test_slow_clients_are_ended_and_hold_nobody_up(made):
    """Two hundred that send a byte now and then, while others are answered as ever."""
    with running(made[0], "--header-timeout-s", "1", "--body-timeout-s", "1") as server:
        slow = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(200)]
        for number, connection in enumerate(slow):
            connection.sendall(HEAD if number % 2 else HEAD[:20])
        start = time.perf_counter()
        while time.perf_counter() - start < 1.5:
            assert server.ask("POST", "/predict", bundles.ROW)[0] == 200
            for connection in slow[:20]:
                with contextlib.suppress(OSError):
                    connection.sendall(b" ")
        for connection in slow:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(65536)[:12] in {b"HTTP/1.1 408", b"HTTP/1.1 400", b""}
            connection.close()
        assert time.perf_counter() - start < 8
