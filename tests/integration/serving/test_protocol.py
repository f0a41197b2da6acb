"""The protocol, over a real connection."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest

from serving.metrics import Histogram, labels
from serving.telemetry import new_page
from tests.unit.serving import bundles

ROW = bundles.ROW


def test_records_columns_and_tensors_agree_with_onnxruntime(server):
    records = bundles.rows(60, seed=7)
    wanted = bundles.predict(bundles.graph(), records)
    columns = {name: [row[name] for row in records] for name in records[0]}
    kinds = {"number": "FP32", "integer": "INT64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}
    tensors = [
        {"name": s["name"], "shape": [60], "datatype": kinds[s["type"]], "data": columns[s["name"]]}
        for s in bundles.INPUTS
    ]
    for path, body in [
        ("/predict", {"records": records}),
        ("/predict", {"columns": columns}),
        ("/v2/models/flights/infer", {"inputs": tensors}),
    ]:
        status, answer = server.ask("POST", path, body)
        assert status == 200
        found = answer["predictions"] if path == "/predict" else answer["outputs"][0]["data"]
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_tritonclient(server):
    http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights", "1.4.0")
    assert client.get_model_metadata("flights")["outputs"][0]["name"] == "probability"
    assert client.get_model_repository_index()[0]["name"] == "flights"
    records = [{**row, "carrier": row["carrier"] or ""} for row in bundles.rows(25, seed=6)]
    feeds = bundles.feeds(records)
    arrays = {
        "carrier": (feeds["texts"][:, 0], "BYTES"),
        "origin": (feeds["texts"][:, 1:2], "BYTES"),
        "distance": (feeds["numbers"][:, 0].astype(np.int64), "INT64"),
        "temp": (feeds["numbers"][:, 1:2].copy(), "FP32"),
        "waterfront": (feeds["numbers"][:, 2] == 1, "BOOL"),
        "scheduled_departure": (feeds["times"][:, 0], "INT64"),
    }
    wanted = bundles.predict(bundles.graph(), records)
    for binary in (True, False):
        for packed in (None, "gzip", "deflate"):
            inputs = []
            for name, (array, kind) in arrays.items():
                tensor = http.InferInput(name, array.shape, kind)
                tensor.set_data_from_numpy(array, binary_data=binary)
                inputs.append(tensor)
            answer = client.infer("flights", inputs, request_compression_algorithm=packed)
            np.testing.assert_allclose(answer.as_numpy("probability"), wanted, atol=1e-6)
    with pytest.raises(Exception, match=r"\[400\] input origin: missing"):
        client.infer("flights", inputs[:1] + inputs[2:])
    client.close()


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(server):
    server.ask("POST", "/predict", {"records": bundles.rows(30)})
    server.ask("POST", "/predict", {"records": [{**ROW, "temp": 999}]})
    page = server.ask("GET", "/metrics")[1]
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_takes_features_of_any_name():
    page = new_page()
    for name in ['a"b', "back\\slash", "new\nline", "ünï", '{x="y"}', "a,b", "", " ", "le", "\t", "x" * 300, "日本"]:
        where = labels(model="flights", feature=name)
        page.sample("slipway_feature_missing_total", where, 1)
        page.histogram("slipway_feature_value", where, Histogram([0, 1e-9, 1.5, 1e300]))
    done = subprocess.run(["promtool", "check", "metrics"], input=page.render(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{" + b" " * 100_001, {}, 413),
        (gzip.compress(b" " * 10_000_000), {"content_encoding": "gzip"}, 413),
        (b"{}", {"content_type": "text/csv"}, 415),
        (b"{}", {"content_encoding": "br"}, 415),
        (b"[" * 50_000, {}, 400),
        (b'{"temp": NaN}', {}, 400),
        ({"records": []}, {}, 422),
        ({**ROW, "temp": 999}, {}, 422),
        ({**ROW, "surprise": 1}, {}, 422),
    ],
)
def test_mistakes_are_answered_as_problems(server, body, headers, status):
    found, answer = server.ask("POST", "/predict", body, **headers)
    assert found == answer["status"] == status
    assert answer["error"] == answer["detail"]


def raw(server, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send bytes as they are; returns what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            found = b""
            while chunk := connection.recv(65536):
                found += chunk
        except ConnectionError:
            pass
        return found


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"


def test_slow_bodies_and_slow_heads_end(server):
    start = time.perf_counter()
    assert raw(server, HEAD, b'{"carrier"').startswith(b"HTTP/1.1 408")
    assert raw(server, HEAD[:30], HEAD[30:50], pause_s=0.2).startswith(b"HTTP/1.1 408")
    assert raw(server) == b""
    assert time.perf_counter() - start < 5


def test_a_head_without_end_is_cut(server):
    endless = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100))
    assert raw(server, endless[:70_000]).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http(server, junk):
    assert raw(server, junk).startswith(b"HTTP/1.1 400")


def test_pipelined_requests_are_answered_in_order(server):
    body = json.dumps(ROW).encode()
    one = HEAD.replace(b"50", b"%d" % len(body)) + body
    answers = raw(server, one * 5 + one.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    assert answers.count(b"HTTP/1.1 200 OK") == 6


def mutants(seed: int, count: int) -> list[bytes]:
    """Bodies that are nearly right."""
    rng = random.Random(seed)
    good = [
        json.dumps(document).encode()
        for document in (ROW, {"records": [ROW, ROW]}, {"columns": {k: [v] for k, v in ROW.items()}})
    ]
    found = []
    for _ in range(count):
        body = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(body))
            kind = rng.random()
            if kind < 0.4:
                body[place] = rng.choice(b'{}[]",:0123456789eE+-.\\u\x00\xff tfn')
            elif kind < 0.7:
                del body[place : place + rng.randint(1, 9)]
            else:
                body[place:place] = rng.choice(
                    [b"1e999", b"null", b"[[", b'"\\ud800"', b"-0", b"\xc3\x28", b"9" * 400, b"{}"]
                )
            body = body or bytearray(b"{")
        found.append(bytes(body))
    return found


def test_fuzzed_bodies_never_break_it(server):
    connection = server.connection()
    seen = set()
    for index, body in enumerate(mutants(1, 3000)):
        path = "/v2/models/flights/infer" if index % 3 == 0 else "/predict"
        fields = {"Content-Type": "application/json"}
        if index % 7 == 0:
            fields["Content-Encoding"] = "gzip"
        if index % 11 == 0:
            fields["Inference-Header-Content-Length"] = str(index % 200)
        connection.request("POST", path, body, fields)
        answer = connection.getresponse()
        seen.add(answer.status)
        content = answer.read()
        assert answer.status < 500, (body, content)
        assert b"Traceback" not in content
    assert {200, 400, 422} <= seen
    assert server.ask("GET", "/v2/health/ready")[0] == 200
