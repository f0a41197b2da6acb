from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from unittest import mock

import numpy as np
import pytest

from serving import log
from tests.unit.serving import bundles

ROW = bundles.ROW


def test_one_record(serve):
    async def scenario(service):
        answer = await service.predict(ROW, x_request_id="abc-1")
        assert answer.status == 200
        assert answer.headers["x-request-id"] == answer.json["request_id"] == "abc-1"
        assert answer.headers["x-slipway-release"].startswith("flights@1.4.0; bundle=sha256:")
        assert answer.json["release"] == "flights@1.4.0"
        assert answer.json["version"] == "1.4.0"
        assert answer.json["bundle"] == service.state.repository.live.model.release.short
        wanted = bundles.predict(bundles.graph(), [ROW])
        np.testing.assert_allclose(answer.json["predictions"], wanted, atol=1e-7)

    serve(scenario)


@pytest.mark.parametrize("wanted", [1, 7, 300, 900])
def test_batches_of_any_size_by_any_way(serve, wanted):
    records = bundles.rows(wanted, seed=3)
    columns = {name: [row[name] for row in records] for name in records[0]}
    scores = bundles.predict(bundles.graph(), records)

    async def scenario(service):
        for document in ({"records": records}, {"columns": columns}):
            answer = await service.predict(document)
            np.testing.assert_allclose(answer.json["predictions"], scores, atol=1e-6)
            packed = await service.predict(gzip.compress(json.dumps(document).encode()), content_encoding="gzip")
            assert packed.json["predictions"] == answer.json["predictions"]

    serve(scenario)


def test_concurrent_rows_share_runs_and_keep_their_answers(serve):
    records = bundles.rows(200, seed=4)
    scores = bundles.predict(bundles.graph(), records)

    async def scenario(service):
        for _ in range(2):
            answers = await asyncio.gather(*(service.predict(row) for row in records))
            np.testing.assert_allclose([a.json["predictions"][0] for a in answers], scores, atol=1e-6)
        runs = service.state.repository.live.telemetry.run_rows
        assert sum(runs.counts) < 20

    serve(scenario)


def test_a_multiclass_answer_names_its_classes(serve, multiclass):
    async def scenario(service):
        answer = await service.predict(ROW)
        assert answer.json["classes"] == ["early", "on time", "late"]
        assert sum(answer.json["predictions"][0]) == pytest.approx(1)
        page = (await service.ask("GET", "/metrics")).body.decode()
        assert 'predicted="on time"' in page

    serve(scenario, at=multiclass)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("DELETE", "/v2", 405),
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/flights/versions/9", 404),
        ("GET", "/v2/models/flights/versions", 404),
        ("GET", "/v2/models/flights/nothing", 404),
        ("GET", "/docs/../../etc/passwd", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/repository/models/flights/unload", 404),
        ("HEAD", "/v2/health/live", 200),
        ("GET", "/v2", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/models/flights", 200),
        ("GET", "/v2/models/flights/ready", 200),
        ("GET", "/v2/models/flights/versions/1.4.0", 200),
        ("GET", "/v2/models/flights/versions/1.4.0/ready", 200),
        ("POST", "/v2/repository/index", 200),
        ("GET", "/v2/repository/index", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("GET", "/docs.js", 200),
        ("GET", "/docs.css", 200),
        ("GET", "/metrics", 200),
    ],
)
def test_routes(serve, method, path, status):
    async def scenario(service):
        answer = await service.ask(method, path)
        assert answer.status == status
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json["status"] == status
            assert answer.json["error"] == answer.json["detail"]
            assert answer.json["request_id"] == answer.headers["x-request-id"]
        if status == 405:
            assert answer.headers["allow"]

    serve(scenario)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_other_media_types_are_not_read(serve, kind):
    async def scenario(service):
        answer = await service.predict(ROW, content_type=kind)
        assert (answer.status, answer.headers["accept"]) == (415, "application/json")

    serve(scenario)


def test_media_type_with_parameters(serve):
    async def scenario(service):
        assert (await service.predict(ROW, content_type="Application/JSON; charset=utf-8")).status == 200

    serve(scenario)


def test_bodies_past_the_limit(serve):
    big = b" " * 5000

    async def scenario(service):
        assert (await service.predict(big)).status == 413
        assert (await service.predict([big[:1500]] * 5)).status == 413
        declared = await service.predict(b"", content_length=str(10**12))
        assert (declared.status, declared.headers["connection"]) == (413, "close")
        waiting = await service.predict(b"", content_length="5000", expect="100-continue")
        assert waiting.status == 413
        assert service.state.bodies._held == 0

    serve(scenario, "--max-body-bytes", "4096")


def test_compressed_bodies_are_bounded(serve):
    bomb = gzip.compress(b" " * 10_000_000)
    good = json.dumps(ROW).encode()

    async def scenario(service):
        for raw, coding, status in [
            (bomb, "gzip", 413),
            (gzip.compress(good), "gzip", 200),
            (zlib.compress(good), "deflate", 200),
            (good, "identity", 200),
            (good, "gzip", 400),
            (gzip.compress(good)[:-5], "gzip", 400),
            (gzip.compress(good) + b"x", "gzip", 400),
            (good, "br", 415),
            (good, "gzip, gzip", 415),
        ]:
            assert (await service.predict(raw, content_encoding=coding)).status == status, coding

    serve(scenario, "--max-inflated-bytes", "100000")


def test_a_client_that_leaves_is_counted(serve):
    async def scenario(service):
        sent = []

        async def leave():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "client": None}
        await service.app(scope, leave, send)
        assert sent == []
        assert service.state.repository.live.telemetry.outcomes["predict", "disconnected"] == 1

    serve(scenario)


def test_no_more_at_once_than_allowed(serve):
    async def scenario(service):
        answers = await asyncio.gather(*(service.predict(ROW) for _ in range(20)))
        assert sorted(answer.status for answer in answers) == [200] * 4 + [503] * 16
        refused = next(answer for answer in answers if answer.status == 503)
        assert refused.headers["retry-after"] == "1"
        assert service.state.scoring.active == 0
        assert (await service.predict(ROW)).status == 200

    serve(scenario, "--max-concurrency", "4")


def test_large_batches_are_bounded_apart(serve):
    records = {"records": bundles.rows(1500)}

    async def scenario(service):
        answers = await asyncio.gather(*(service.predict(records) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200] * 2 + [503] * 3

    serve(scenario, "--max-heavy", "2")


def test_a_bug_of_ours_is_not_shown(serve):
    async def scenario(service):
        live = service.state.repository.live
        with mock.patch.object(live.model.graph, "_session") as session, mock.patch.object(log, "error") as logged:
            session.run.side_effect = RuntimeError("secret path /srv/model")
            for document in (ROW, {"records": [ROW, ROW]}):
                answer = await service.predict(document)
                assert answer.status == 500
                assert "secret" not in answer.body.decode()
                assert "Traceback" not in answer.body.decode()
        assert logged.call_count == 2
        assert service.state.scoring.active == 0

    serve(scenario)


@pytest.mark.parametrize("given", ["x" * 129, "a b", "a\x1b[31m", "é", '"', ""])
def test_request_ids_that_are_not_sane_are_replaced(serve, given):
    async def scenario(service):
        answer = await service.predict(ROW, x_request_id=given)
        assert answer.headers["x-request-id"] != given

    serve(scenario)


def test_not_ready_without_a_model(serve, fresh):
    (fresh / "model.onnx").write_bytes(b"")

    async def scenario(service):
        for method, path, status in [
            ("GET", "/v2/health/live", 200),
            ("GET", "/v2/health/ready", 503),
            ("GET", "/v2/models/flights/ready", 503),
            ("GET", "/openapi.json", 503),
            ("GET", "/metrics", 200),
            ("POST", "/v2/repository/index", 200),
        ]:
            assert (await service.ask(method, path)).status == status, path
        assert (await service.predict(ROW)).status == 503
        page = (await service.ask("GET", "/metrics")).body.decode()
        assert 'slipway_swaps_total{outcome="refused",reason="digest"} 1' in page

    serve(scenario, at=fresh)


def test_while_draining_not_ready_and_yet_answering(serve):
    async def scenario(service):
        service.state.draining = True
        assert (await service.ask("GET", "/v2/health/ready")).status == 503
        answer = await service.predict(ROW)
        assert (answer.status, answer.headers["connection"]) == (200, "close")

    serve(scenario)


def test_docs_need_nothing_from_elsewhere(serve):
    async def scenario(service):
        for path in ("/docs", "/docs.js", "/docs.css"):
            answer = await service.ask("GET", path)
            assert b"http://" not in answer.body
            assert b"https://" not in answer.body
            assert "default-src 'self'" in answer.headers["content-security-policy"]

    serve(scenario)


def test_infer(serve):
    names = {"number": "FP32", "integer": "INT64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}
    inputs = [
        {"name": spec["name"], "shape": [1], "datatype": names[spec["type"]], "data": [ROW[spec["name"]]]}
        for spec in bundles.INPUTS
    ]

    async def scenario(service):
        wanted = (await service.predict(ROW)).json["predictions"]
        for path in ("/v2/models/flights/infer", "/v2/models/flights/versions/1.4.0/infer"):
            raw = json.dumps({"id": "seven", "inputs": inputs}).encode()
            answer = await service.ask("POST", path, raw)
            assert answer.json["id"] == "seven"
            assert answer.json["model_version"] == "1.4.0"
            assert answer.json["outputs"] == [{"name": "probability", "datatype": "FP32", "shape": [1], "data": wanted}]
            packed = {"inputs": inputs, "parameters": {"binary_data_output": True}}
            answer = await service.ask("POST", path, json.dumps(packed).encode())
            head = int(answer.headers["inference-header-content-length"])
            assert np.frombuffer(answer.body[head:], "<f4").tolist() == wanted
        assert service.state.repository.live.telemetry.rows.counts[0] == 5

    serve(scenario)


def test_wrong_values_are_counted_by_feature(serve):
    async def scenario(service):
        await service.predict(
            {"records": [{**ROW, "temp": 999}, {**ROW, "temp": 999, "gate": 1}, {**ROW, "origin": "?"}]}
        )
        page = (await service.ask("GET", "/metrics")).body.decode()
        where = service.state.repository.live.telemetry.where
        assert f'slipway_feature_rejected_total{{{where},feature="temp",reason="range"}} 2' in page
        assert f'slipway_feature_rejected_total{{{where},feature="origin",reason="category"}} 1' in page
        assert f'slipway_feature_rejected_total{{{where},feature="",reason="field"}} 1' in page
        assert "gate" not in page

    serve(scenario)
