"""Clients that do as HTTP allows, if not as most do, and clients that mean harm: each gets its answer or its end."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.integration.serving.conftest import running
from tests.integration.serving.test_protocol import HEAD, raw
from tests.unit.serving import bundles

BODY = json.dumps(bundles.ROW).encode()
ONE = HEAD.replace(b"50", b"%d" % len(BODY)) + BODY
LAST = ONE.replace(b"Host: x", b"Host: x\r\nConnection: close")


def talk(server, *parts: bytes, half_close: bool = False) -> bytes:
    """Send each part once the last was answered; then read to the end."""
    found = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        for part in parts[:-1]:
            connection.sendall(part)
            found += connection.recv(65536)
        connection.sendall(parts[-1])
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            found += chunk
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_closed_its_half_is_answered(server, count):
    assert talk(server, ONE * count, half_close=True).count(b"HTTP/1.1 200 OK") == count


def test_half_a_request_and_half_a_connection_end(server):
    assert talk(server, ONE[:-5], half_close=True) == b""
    assert talk(server, ONE + ONE[:-5], half_close=True).count(b"HTTP/1.1 200 OK") <= 1


def test_an_offer_to_upgrade_is_passed_over(server):
    """As Java's client makes it with its first request."""
    offer = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"
    answers = talk(server, ONE.replace(b"Host: x", offer), LAST)
    assert answers.count(b"HTTP/1.1 200 OK") == 2


def test_http_1_0_gets_an_answer_and_the_end(server):
    answer = raw(server, ONE.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer


def test_head_has_the_headers_of_get_and_no_body(server):
    head, _, body = raw(server, b"HEAD /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")
    assert b"content-length: 8" in head
    assert body == b""


def test_expect_100_continue(server):
    head, body = ONE[: -len(BODY)].replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"), BODY
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_chunked_bodies(server):
    head = HEAD.replace(b"Content-Length: 50", b"Transfer-Encoding: chunked\r\nConnection: close")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(BODY[at : at + 7]), BODY[at : at + 7]) for at in range(0, len(BODY), 7))
    assert raw(server, head + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    assert raw(server, head + b"zz\r\n").startswith(b"HTTP/1.1 400")
    assert raw(server, head + chunks[:20]).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/v2/models/%66lights", 200),
        (b"/v2/models/flights/ready?x=%00", 200),
        (b"/v2/models/%E2%98%83", 404),
        (b"/v2/models/%ff%fe%00", 404),
        (b"/v2/models/flights%2Finfer", 405),
        (b"//v2", 404),
        (b"/v2/", 404),
        (b"http://x/v2", 200),
        (b"*", 404),
    ],
)
def test_odd_paths(server, path, status):
    found = raw(server, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 %d" % status), found


def test_two_lengths_or_a_length_and_chunks_are_refused(server):
    """What two servers could read as two different requests is read by none."""
    assert raw(server, ONE.replace(b"Host: x", b"Host: x\r\nContent-Length: 3")).startswith(b"HTTP/1.1 400")
    assert raw(server, ONE.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked")).startswith(b"HTTP/1.1 400")


def test_line_ends_do_not_keep_an_idle_connection(made):
    with running(made[0], "--keep-alive-s", "1", "--header-timeout-s", "0.5") as server:
        start = time.perf_counter()
        assert talk(server, ONE, b"\r\n").count(b"HTTP/1.1 200 OK") == 1
        assert time.perf_counter() - start < 4


def test_a_client_that_never_reads_is_cut(made):
    """It asks again and again; its answers fill what the system buffers, and then must not fill the server."""
    with running(made[0], "--body-timeout-s", "1") as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", server.port))
        page, deadline = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", time.monotonic() + 8
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                connection.sendall(page)
                time.sleep(0.001)
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200


def test_a_client_that_leaves_others_queued_behind_its_request_does_no_harm(server):
    many = json.dumps({"records": bundles.rows(400)}).encode()
    slow = HEAD.replace(b"50", b"%d" % len(many)) + many
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(slow + ONE + ONE[:-5])
            time.sleep(0.003)
    assert server.ask("POST", "/predict", bundles.ROW)[0] == 200


def test_both_ways_out_have_the_same_headers(server):
    """A plain 200 leaves in one write; one that closes the connection leaves as ASGI's messages."""
    plain, closing = talk(server, ONE, LAST).split(b"HTTP/1.1 200 OK\r\n")[1:]
    names = [
        {line.split(b":")[0] for line in part.partition(b"\r\n\r\n")[0].split(b"\r\n")} for part in (plain, closing)
    ]
    assert names[1] - names[0] == {b"connection"}
    assert names[0] == {b"date", b"content-type", b"content-length", b"x-request-id", b"x-slipway-release"}
