"""Predictions of a deployed model arrive at a deployed collection service, and its token is nowhere to be seen."""

from __future__ import annotations

import json
import time

import pytest

from ci.adapters import environments
from ci.adapters.http import ask
from ci.collecting.contracts import document
from ci.errors import Outcome
from ci.project import find
from ci.services.bundle import make
from ci.shared import Shared
from tests.containers import usable
from tests.e2e.collectors import TOKEN
from tests.e2e.collectors import Place as CollectorPlace
from tests.e2e.environments import BUNDLE, Place

pytestmark = pytest.mark.slow


@pytest.fixture
def collector(tmp_path):
    usable()
    (tmp_path / "c").mkdir()
    made = CollectorPlace(tmp_path / "c")
    make([document(find("flights"))], made.bundles["1.0.0"])
    yield made
    made.open().stop("tests")


def test_events_arrive_with_a_token_that_nobody_sees(collector, tmp_path, monkeypatch):
    monkeypatch.setenv("TESTS_EVENTS_TOKEN", TOKEN)
    assert collector.deploy("1.0.0").outcome is Outcome.PASSED
    events = {"url": collector.door, "token_env": "TESTS_EVENTS_TOKEN", "rate": 1.0}
    place = Place(tmp_path, {"events": events})
    try:
        assert place.deploy("1.0.0").outcome is Outcome.PASSED
        assert place.answer()[0] == 200
        until(lambda: predictions(collector.door) >= 1)
        monkeypatch.delenv("TESTS_EVENTS_TOKEN")  # another agent does not have it: the environment does
        assert place.deploy("1.1.0").outcome is Outcome.PASSED
        before = predictions(collector.door)
        assert place.answer()[0] == 200
        until(lambda: predictions(collector.door) > before)
        kept = tmp_path / "flights/staging/secrets/events-token"
        assert (kept.read_text(), kept.stat().st_mode & 0o777) == (TOKEN, 0o600)
        assert seen(place, tmp_path / "flights") == []
    finally:
        place.open().stop("tests")


def test_an_unset_token_stops_the_deployment(tmp_path, monkeypatch):
    monkeypatch.delenv("TESTS_EVENTS_TOKEN", raising=False)
    place = Place(tmp_path, {"events": {"url": "http://127.0.0.1:9", "token_env": "TESTS_EVENTS_TOKEN"}})
    running = environments.running(
        "flights", place.environment, Shared(projects=["flights"]), bundles=environments.FolderBundles(BUNDLE)
    )
    with pytest.raises(Exception, match="has no events-token yet") as caught:
        running.roll_out(place.release("1.0.0"), place.environment.strategy, environments.health(), "tests")
    assert "set TESTS_EVENTS_TOKEN" in caught.value.hint


def predictions(door):
    _, _, raw = ask(f"{door}/v1/flights", headers={"authorization": f"Bearer {TOKEN}"})
    return json.loads(raw)["predictions"]


def seen(place, folder):
    """Where the token can be read: argv and environments of processes, state, wishes, logs, router."""
    needle = TOKEN.encode()
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    assert {"state.json"} <= {path.name for path in files}
    found = [path for path in files if needle in path.read_bytes()]
    for pid in place.units.alive().values():
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as told:
                found += [name] if needle in told.read() else []
    return found


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
