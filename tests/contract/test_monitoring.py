"""Every source of counts keeps one contract: no data, zero and unreachable are three things; credentials go along."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ci.adapters.monitoring import jsonpath
from ci.adapters.monitoring.exposition import Envoy, Pages
from ci.adapters.monitoring.jsonapi import JsonProvider
from ci.adapters.monitoring.prometheus import Prometheus
from ci.errors import BadInput, StepError, Unavailable
from ci.params_verification import Http, JsonApi
from ci.verification.interface import Provider, Query, Reading, Selector
from ci.verification.tape import Tape

HTTP: dict[str, Any] = {"timeout_s": 1, "tries": 2, "max_mb": 1}


@dataclass
class World:
    """What was counted, and how the source behaves; `points` holds (moment, bad, total)."""

    url: str = ""
    kind: str = ""
    points: list[tuple[float, Any, Any]] = field(default_factory=list)
    ends: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def answer(self, asked: str) -> str:
        if self.ends == "no json":
            return "<html>welcome</html>"
        if self.ends == "huge":
            return "#" * (3 << 20)
        if self.kind in {"servers", "envoy"}:
            return "".join(f"bad_total {b}\nall_total {t}\n" for _, b, t in self.points[-1:] if t is not None) or "\n"
        place = 1 if "bad_total" in asked else 2
        told = [(point[0], point[place]) for point in self.points]
        if self.kind == "prometheus":
            values = [[at, str(value)] for at, value in told if value is not None]
            result = [{"metric": {"instance": "a"}, "values": values}] if values else []
            return json.dumps({"status": "success", "data": {"result": result}})
        return json.dumps({"series": [{"points": [{"at": at, "n": v} for at, v in told]}]} if told else {"series": []})


@pytest.fixture(params=["servers", "envoy", "prometheus", "json"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(kind=request.param)

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            made.paths.append(self.path)
            status = int(made.ends) if made.ends.isdigit() else 200
            text = made.answer(self.path + body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            try:
                self.wfile.write(text)
            except OSError:
                return

        do_POST = do_GET  # noqa: N815 # the name that http.server asks for

        def log_message(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


def provider(world: World, **more: Any) -> Provider:
    options = {**HTTP, **more}
    if world.kind == "servers":
        return Pages(Http(**options))
    if world.kind == "envoy":
        return Envoy(Http(**options), world.url)
    if world.kind == "prometheus":
        return Prometheus(Http(**options), world.url)
    shape = {
        "path": "/v1?q=$query&from=$since",
        "times": "$.series[0].points[*].at",
        "values": "$.series[*].points[*].n",
    }
    return JsonProvider(JsonApi(**{**shape, "shape": "cumulative", **options}), world.url)


def query(world: World, **more: Any) -> Query:
    cells: dict[str, Any] = {"bad": Selector("bad_total"), "total": Selector("all_total")}
    if world.kind == "json":
        cells = {"bad": "sum:bad_total{}&x=1", "total": "sum:all_total{}&x=1"}
    return Query("errors", "canary", world.kind, cells, None, (world.url,), **more)


def counted(world: World, *points: tuple[float, Any, Any]) -> tuple[dict[str, int], list[Reading]]:
    """Let time pass from point to point, reading after each; return what a tape makes of it, and the readings."""
    source, tape, readings = provider(world), Tape(), []
    for place in range(1, len(points) + 1):
        world.points = list(points[:place])
        readings.append(source.read([query(world)], points[0][0] - 1, time.time() + 1))
        tape.add(readings[-1])
    (instance,) = tape.instances("errors", "canary") or [""]
    edges = [points[0][0], time.time() + 2]
    found = tape.increments("errors", "canary", instance, edges)
    return {cell: int(values.sum()) for cell, values in found.items()}, readings


def test_counts_are_what_happened_since_one_looked(world: World) -> None:
    now = time.time() - 3
    found, readings = counted(world, (now, 5, 100), (now + 1, 5, 150), (now + 2, 7, 260))
    assert found == {"bad": 2, "total": 160}
    assert readings[-1].seen
    assert not readings[-1].complaints


def test_a_restarted_process_has_counted_what_it_shows(world: World) -> None:
    now = time.time() - 3
    found, _ = counted(world, (now, 5, 100), (now + 1, 1, 30), (now + 2, 1, 40))
    assert found == {"bad": 1, "total": 40}


def test_zero_is_a_count(world: World) -> None:
    now = time.time() - 2
    found, readings = counted(world, (now, 0, 0), (now + 1, 0, 0))
    assert found == {"bad": 0, "total": 0}
    assert readings[-1].seen


def test_an_empty_answer_is_no_data_and_no_zero(world: World) -> None:
    reading = provider(world).read([query(world)], 0, time.time())
    assert (list(reading.samples), list(reading.seen)) == ([], [])


def test_what_is_no_number_was_not_seen(world: World) -> None:
    now = time.time() - 1
    world.points = [(now, "NaN", "NaN")]
    reading = provider(world).read([query(world)], now - 1, now + 2)
    assert (list(reading.samples), list(reading.seen)) == ([], [])


@pytest.mark.parametrize(
    ("ends", "error", "said"),
    [("401", BadInput, "401"), ("403", BadInput, "403"), ("302", BadInput, "302"), ("404", BadInput, "404"),
     ("503", Unavailable, "503"), ("429", Unavailable, "429"), ("huge", BadInput, "larger than 1 MB")],
)  # fmt: skip
def test_a_refusal_is_not_an_outage(world: World, ends: str, error: type[StepError], said: str) -> None:
    world.ends = ends
    world.points = [(time.time(), 1, 2)]
    with pytest.raises(error, match=said) as caught:
        provider(world).read([query(world)], 0, time.time())
    if error is Unavailable:
        assert len(world.paths) == HTTP["tries"]  # asked again
    if ends in {"401", "403"}:
        assert caught.value.hint == "check the credentials"


def test_unreachable_is_said(world: World) -> None:
    world.url = "http://127.0.0.1:9"
    with pytest.raises(Unavailable, match="cannot be reached"):
        provider(world).read([query(world)], 0, time.time())


def test_what_is_no_json_comes_from_somebody_else(world: World) -> None:
    if world.kind not in {"prometheus", "json"}:
        pytest.skip("a page of text has no other form to break")
    world.ends = "no json"
    with pytest.raises(Unavailable, match="not JSON"):
        provider(world).read([query(world)], 0, time.time())


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ({"token_env": "T"}, "authorization", "Bearer s3cret"),
        ({"token_env": "T", "token_header": "DD-API-KEY"}, "dd-api-key", "s3cret"),
        (
            {"username_env": "U", "password_env": "T"},
            "authorization",
            "Basic " + base64.b64encode(b"ann:s3cret").decode(),
        ),
    ],
)
def test_credentials_come_from_the_environment(
    world: World, options: dict[str, str], header: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T", "s3cret")
    monkeypatch.setenv("U", "ann")
    provider(world, **options).read([query(world)], 0, time.time())
    assert world.headers[0][header] == value
    assert "s3cret" not in "".join(world.paths)
    monkeypatch.delenv("T")
    with pytest.raises(BadInput, match="T: not set"):
        provider(world, **options).read([query(world)], 0, time.time())


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Callable[[World], World]:
    return lambda world: pytest.skip("json alone") if world.kind != "json" else world


def test_json_increments_add_up_and_answers_may_overlap(world: World, api: Callable[[World], World]) -> None:
    api(world)
    source, tape, now = provider(world, shape="increments"), Tape(), round(time.time()) - 10
    for upto in (3, 5, 8):
        world.points = [(now + place, 1, 10) for place in range(max(0, upto - 3), upto)]
        tape.add(source.read([query(world)], now - 1, now + 20))
    found = tape.increments("errors", "canary", "all", [now + 0.5, now + 4.5, now + 7.5])
    assert {cell: values.tolist() for cell, values in found.items()} == {"bad": [4, 3], "total": [40, 30]}


def test_json_null_is_not_zero_unless_the_policy_says_that_zeros_are_left_out(
    world: World, api: Callable[[World], World]
) -> None:
    api(world)
    now = time.time() - 2
    world.points = [(now, None, 10), (now + 1, None, 10)]
    assert not provider(world).read([query(world)], now - 1, now + 5).seen
    assert len(provider(world).read([query(world, zero=True)], now - 1, now + 5).seen) == 2


def test_json_the_same_moment_twice_and_negative_counts_are_complained_of(
    world: World, api: Callable[[World], World]
) -> None:
    api(world)
    now = time.time() - 2
    world.points = [(now, 1, 10), (now, 1, 10), (now + 1, -1, 10)]
    complaints = " ".join(provider(world).read([query(world)], now - 1, now + 5).complaints)
    assert "errors: the same moment twice in bad of the canary" in complaints
    assert "a negative count (-1)" in complaints


def test_json_a_query_cannot_become_more_than_a_query(world: World, api: Callable[[World], World]) -> None:
    provider(api(world)).read([query(world)], 0, time.time())
    assert world.paths[0] == "/v1?q=sum%3Abad_total%7B%7D%26x%3D1&from=0"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("$", [{"a": [{"b": 1}, {"b": 2}], "c d": 3}]), ("$.a[*].b", [1, 2]), ("$.a[-1].b", [2]), ("$['c d']", [3]),
     ("$.a[0]", [{"b": 1}]), ("$.a[7].b", []), ("$.nothing[*]", []), ("$.a[*]['b']", [1, 2])],
)  # fmt: skip
def test_paths_find_what_they_name(path: str, expected: list[Any]) -> None:
    assert jsonpath.found(path, {"a": [{"b": 1}, {"b": 2}], "c d": 3}) == expected


@pytest.mark.parametrize("path", ["a.b", "$.a[?(@.b>1)]", "$..a", "$.a[1:2]", "$.__class__()", "$.a["])
def test_paths_that_are_not_understood_are_refused(path: str) -> None:
    with pytest.raises(BadInput):
        jsonpath.steps(path)
