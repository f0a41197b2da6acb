"""Asking a front door for predictions: each under its id, patient with who is busy, one count for every end."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ci.adapters.doors import FrontDoor
from ci.errors import Unavailable
from tests.integration.collecting.misbehaving import misbehaving

ANSWER = (200, {}, b'{"late": 0.25}')


def test_each_row_is_asked_under_its_own_id() -> None:
    asked = [(f"id-{n}", {"n": n, "town": "Łódź"}) for n in range(50)]
    with misbehaving(ANSWER) as server:
        assert FrontDoor(f"{server.url}/api/", connections=4).ask(asked) == {"answered": 50}
    assert {path for _, path, _, _ in server.asked} == {"/api/predict"}
    found = {headers["X-Request-Id"]: json.loads(body) for _, _, headers, body in server.asked}
    assert found == dict(asked)


def test_a_refusal_is_counted_and_not_repeated() -> None:
    with misbehaving((422, {}, b"{}")) as server:
        assert FrontDoor(server.url).ask([("a", {}), ("b", {})]) == {"refused with 422": 2}
    assert len(server.asked) == 2


def test_who_is_busy_is_asked_again_when_it_says() -> None:
    naps: list[float] = []
    with misbehaving((503, {"Retry-After": "3"}, b""), ANSWER) as server:
        assert FrontDoor(server.url, sleep=naps.append).ask([("a", {})]) == {"answered": 1}
    assert naps == [3.0]
    assert [headers["X-Request-Id"] for _, _, headers, _ in server.asked] == ["a", "a"]


def test_a_connection_that_breaks_is_made_anew() -> None:
    def breaks(handler: Any) -> None:
        handler.close_connection = True

    with misbehaving(breaks, ANSWER) as server:
        assert FrontDoor(server.url, connections=1).ask([("a", {})]) == {"answered": 1}


def test_patience_ends() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        FrontDoor("http://127.0.0.1:9", patience_s=0.5).ask([("a", {}), ("b", {})])
    assert time.monotonic() - began < 5
