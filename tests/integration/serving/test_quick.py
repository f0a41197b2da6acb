"""The quick way answers as the ordinary one does, to the byte; a body that comes in two pieces takes the ordinary one."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time

import pytest

from tests.integration.serving.conftest import running
from tests.unit.serving import bundles

ROW = bundles.ROW
KINDS = {"number": "FP32", "integer": "INT64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}
JSON = b"Content-Type: application/json\r\n"
INFER = b"/v2/models/flights/infer"


def tensors(row: dict[str, object], **more: object) -> bytes:
    inputs = [
        {"name": s["name"], "shape": [1], "datatype": KINDS[s["type"]], "data": [row[s["name"]]]}
        for s in bundles.INPUTS
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


PLAIN, TENSORS = json.dumps(ROW).encode(), tensors(ROW)
ASKED: dict[str, tuple[bytes, bytes, bytes]] = {
    "a record": (b"POST /predict HTTP/1.1", JSON, PLAIN),
    "an id": (b"POST /predict HTTP/1.1", JSON + b"X-Request-Id: mine-1\r\n", PLAIN),
    "an id that cannot go into a header": (b"POST /predict HTTP/1.1", JSON + b"X-Request-Id: m\xc3\xbcll\r\n", PLAIN),
    "no content type": (b"POST /predict HTTP/1.1", b"", PLAIN),
    "a content type with parameters": (b"POST /predict HTTP/1.1", b"Content-Type: application/json; charset=utf-8\r\n", PLAIN),
    "another content type": (b"POST /predict HTTP/1.1", b"Content-Type: text/plain\r\n", PLAIN),
    "compressed": (b"POST /predict HTTP/1.1", JSON + b"Content-Encoding: gzip\r\n", gzip.compress(PLAIN, mtime=0)),
    "synthetic": (b"POST /predict HTTP/1.1", JSON + b"X-Slipway-Synthetic: 1\r\n", PLAIN),
    "a batch": (b"POST /predict HTTP/1.1", JSON, json.dumps({"records": bundles.rows(9, seed=1)}).encode()),
    "columns": (b"POST /predict HTTP/1.1", JSON, json.dumps({"columns": {name: [value] for name, value in ROW.items()}}).encode()),
    "a field too many": (b"POST /predict HTTP/1.1", JSON, json.dumps({**ROW, "more": 1}).encode()),
    "out of range": (b"POST /predict HTTP/1.1", JSON, json.dumps({**ROW, "distance": -5}).encode()),
    "not JSON": (b"POST /predict HTTP/1.1", JSON, b"{" + PLAIN),
    "nothing": (b"POST /predict HTTP/1.1", JSON, b""),
    "too large": (b"POST /predict HTTP/1.1", JSON, PLAIN + b" " * 100_000),
    "a query": (b"POST /predict?a=b HTTP/1.1", JSON, PLAIN),
    "a path in disguise": (b"POST /pr%65dict HTTP/1.1", JSON, PLAIN),
    "another path": (b"POST /predicts HTTP/1.1", JSON, PLAIN),
    "another method": (b"PUT /predict HTTP/1.1", JSON, PLAIN),
    "HTTP/1.0": (b"POST /predict HTTP/1.0", JSON, PLAIN),
    "tensors": (b"POST %s HTTP/1.1" % INFER, JSON, TENSORS),
    "tensors with an id": (b"POST %s HTTP/1.1" % INFER, JSON, tensors(ROW, id="job-7")),
    "tensors, binary answer": (b"POST %s HTTP/1.1" % INFER, JSON, tensors(ROW, parameters={"binary_data_output": True})),
    "tensors, output by name": (b"POST %s HTTP/1.1" % INFER, JSON, tensors(ROW, outputs=[{"name": "probability"}])),
    "tensors of a version": (b"POST /v2/models/flights/versions/1.4.0/infer HTTP/1.1", JSON, TENSORS),
    "tensors of another model": (b"POST /v2/models/houses/infer HTTP/1.1", JSON, TENSORS),
    "tensors out of range": (b"POST %s HTTP/1.1" % INFER, JSON, tensors({**ROW, "distance": -5})),
}  # fmt: skip


def spelled(name: str, *, closes: bool = True) -> tuple[bytes, bytes]:
    line, fields, body = ASKED[name]
    end = b"Connection: close\r\n" if closes else b""
    return line + b"\r\nHost: x\r\n" + fields + b"Content-Length: %d\r\n%s\r\n" % (len(body), end), body


def answered(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read one answer: head and body."""
    found = b""
    while b"\r\n\r\n" not in found:
        chunk = connection.recv(65536)
        assert chunk, found
        found += chunk
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


def alike(head: bytes, body: bytes) -> tuple[list[bytes], bytes]:
    """Leave out what differs between any two answers: the moment, and a request id that the server made up."""
    made_up = rb"[0-9a-f]{12}-[0-9a-f]{8}"
    lines = [re.sub(made_up, b"ID", line) for line in head.lower().split(b"\r\n") if not line.startswith(b"date:")]
    return [lines[0], *sorted(lines[1:])], re.sub(made_up, b"ID", body)


@pytest.mark.parametrize("name", ASKED)
def test_a_request_gets_the_same_answer_whole_and_in_pieces(server, name):
    head, body = spelled(name, closes=False)
    found = []
    for parts in ([head + body], [head + body[:5], body[5:]], [head, body]):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                connection.sendall(part)
                time.sleep(0.02 if len(parts) > 1 else 0)
            found.append(alike(*answered(connection)))
    assert found[0] == found[1] == found[2]


def test_a_connection_is_used_again_and_requests_of_both_kinds_keep_their_order(server):
    names = [
        "a record",
        "tensors",
        "a batch",
        "a record",
        "out of range",
        "tensors with an id",
        "synthetic",
        "a record",
    ]
    asked = b"".join(b"".join(spelled(name, closes=False)) for name in names)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        alone = []
        for name in names:
            connection.sendall(b"".join(spelled(name, closes=False)))
            alone.append(alike(*answered(connection)))
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(asked + b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
    together = re.sub(rb"[0-9a-f]{12}-[0-9a-f]{8}", b"ID", found)
    places = []
    for _, body in alone:
        places.append(together.index(body, places[-1] + 1 if places else 0))
    assert places == sorted(places)
    assert together.count(b"HTTP/1.1 ") == len(names) + 1


def test_a_client_that_leaves_at_once_harms_nobody_and_is_counted(made):
    with running(made[0]) as server:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )  # a reset, not a goodbye
                connection.sendall(b"".join(spelled("a record", closes=False)))
        assert server.ask("POST", "/predict", ROW)[0] == 200
        page = server.ask("GET", "/metrics")[1]
        counted = re.findall(r'slipway_requests_total\{[^}]*route="predict",outcome="(ok|disconnected)"\} (\d+)', page)
        assert sum(int(number) for _, number in counted) == 21
        assert "slipway_inflight_requests 0" in page


def test_a_client_that_asks_and_closes_its_half_is_answered_and_the_connection_ends(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"".join(spelled("a record", closes=False)))
        connection.shutdown(socket.SHUT_WR)
        head, _ = answered(connection)
        assert head.startswith(b"HTTP/1.1 200")
        assert connection.recv(1) == b""


def test_predictions_become_events_by_the_quick_way_too(made, tmp_path):
    file = tmp_path / "events"
    with running(made[0], "--events-rate", "1", "--events-file", str(file)) as server:
        for name in ("an id", "tensors", "synthetic"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.sendall(b"".join(spelled(name, closes=False)))
                assert answered(connection)[0].startswith(b"HTTP/1.1 200")
        assert server.end() == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [event["request_id"] == "mine-1" for event in events] == [True, False]
