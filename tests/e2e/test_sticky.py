"""An A/B test: each user stays with one release, and a change of weights moves as few as it must; SLIPWAY_TEST_LONG=1: in containers, too."""

from __future__ import annotations

import http.client
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ci.adapters.envoy import binary
from ci.errors import BadInput, Outcome
from tests.containers import DockerPlace, a_place
from tests.e2e.environments import BUNDLE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
USERS = 10_000


@pytest.fixture(params=["process", "docker"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place | DockerPlace]:
    if request.param == "docker":
        if not os.environ.get("SLIPWAY_TEST_LONG"):
            pytest.skip("the same Envoy, in a container: SLIPWAY_TEST_LONG=1 runs it")
        containers = a_place(request.getfixturevalue("image_layout"))
        yield containers
        containers.sweep()
        return
    if not (BUNDLE / "manifest.json").is_file():
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    made = Place(tmp_path)
    yield made
    made.open().stop("tests")


def asked(door: str, users: range) -> dict[int, str]:
    connection, found = http.client.HTTPConnection(door, timeout=20), {}
    for user in users:
        connection.request("GET", "/v2", headers={"x-user-id": f"user-{user}"})
        answer = connection.getresponse()
        answer.read()
        found[user] = str(answer.getheader("x-slipway-release")).split(";")[0]
    return found


def everybody(place: Place | DockerPlace) -> dict[int, str]:
    door = str(place.open().actual().door).removeprefix("http://")
    with ThreadPoolExecutor(4) as callers:
        parts = callers.map(lambda start: asked(door, range(start, USERS, 4)), range(4))
    return {user: release for part in parts for user, release in part.items()}


def test_ten_thousand_users(place: Place | DockerPlace) -> None:
    place.deploy("1.0.0")
    assert place.deploy("1.1.0", kind="ab", share=30).outcome is Outcome.INCONCLUSIVE
    first = everybody(place)
    assert everybody(place) == first
    share = sum(release == "flights@1.1.0" for release in first.values()) / USERS
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / USERS)
    place.open().abort("tests")
    place.deploy("1.1.0", kind="ab", share=40)
    second = everybody(place)
    moved = [(first[user], second[user]) for user in first if first[user] != second[user]]
    assert set(moved) == {("flights@1.0.0", "flights@1.1.0")}  # nobody the other way
    assert abs(len(moved) / USERS - 0.1) < 4 * math.sqrt(0.1 * 0.9 / USERS)


def test_copies_do_not_change_what_callers_get(place: Place | DockerPlace) -> None:
    place.deploy("1.0.0")
    assert place.deploy("1.1.0", kind="shadow", share=99).outcome is Outcome.INCONCLUSIVE
    assert {place.answer() for _ in range(50)} == {(200, "flights@1.0.0")}
    admin = str(place.open()._moves.router.admin).removeprefix("http://")
    connection = http.client.HTTPConnection(admin, timeout=5)
    connection.request("GET", "/stats?filter=flights-v1-1-0.internal.upstream_rq_completed")
    assert int(connection.getresponse().read().split(b": ")[1]) >= 40
