"""A collection service is released, deployed, changed and rolled back under load: what it acknowledged stays, once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from ci.adapters import environments, trials
from ci.adapters.envoy import binary
from ci.adapters.http import ask
from ci.errors import BadInput, Outcome, StepError
from ci.report import Found
from ci.services.bundle import ServiceBundle
from tests.e2e.collectors import TOKEN, Place, Sender, read, record, send, stored

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path):
    try:
        binary()
    except StepError as error:
        pytest.skip(str(error))
    made = Place(tmp_path)
    yield made
    made.open().stop("tests")
    assert made.units.alive() == {}


def live(place):
    """Who answers at the door."""
    _, headers, _ = ask(f"{place.door}/v2/health/ready")
    return headers["x-slipway-release"]


def test_no_acknowledged_record_is_lost_over_release_change_and_rollback(place):
    moved = place.deploy("1.0.0")
    assert (moved.outcome, moved.live) == (Outcome.PASSED, "1.0.0"), moved.message
    assert live(place) == f"collector@1.0.0; bundle=sha256:{place.release('1.0.0').bundle[:12]}"
    door = place.door
    senders = [Sender(door, 0), Sender(door, 1_000_000)]
    for sender in senders:
        sender.start()
    until(lambda: all(len(sender.acknowledged) > 100 for sender in senders))
    status, said = send(door, [record(500_000, "Łódź")])
    assert (status, said["rejected"]) == (200, 1), "the first contract does not know this town"
    assert said["results"][0]["reasons"][0]["field"] == "town"

    moved = place.deploy("2.0.0")
    assert (moved.outcome, moved.former) == (Outcome.PASSED, "1.0.0"), moved.message
    assert live(place).startswith("collector@2.0.0;")
    assert send(door, [record(500_000, "Łódź")])[1]["accepted"] == 1, "the patched contract does"

    before = time.monotonic()
    moved = place.open().roll_back(place.release("1.0.0"), "tests")
    assert moved.outcome is Outcome.PASSED, moved.message
    assert time.monotonic() - before < 5, "the former release is still warm"
    assert live(place).startswith("collector@1.0.0;")
    assert send(door, [record(500_001, "Łódź")])[1]["rejected"] == 1
    so_far = [len(sender.acknowledged) for sender in senders]
    until(lambda: all(len(s.acknowledged) > n + 100 for s, n in zip(senders, so_far, strict=True)))
    for sender in senders:
        sender.stop()

    assert [sender.trouble for sender in senders] == [[], []], "not one request failed"
    assert [sender.rejected for sender in senders] == [[], []], "none was refused but by contract"
    acknowledged = sorted([*senders[0].acknowledged, *senders[1].acknowledged, 500_000])
    assert stored(door) == acknowledged
    assert max(Counter(acknowledged).values()) == 1


def test_what_was_killed_comes_back_with_what_it_acknowledged(place):
    place.deploy("1.0.0")
    sender = Sender(place.door, 0)
    sender.start()
    until(lambda: len(sender.acknowledged) > 100)
    for _ in range(3):
        ((name, pid),) = [item for item in place.units.alive().items() if item[0] != "envoy"]
        os.kill(pid, signal.SIGKILL)
        until(lambda name=name, pid=pid: place.units.alive().get(name, pid) != pid)
        so_far = len(sender.acknowledged)
        until(lambda so_far=so_far: len(sender.acknowledged) > so_far + 100)
    sender.stop()
    assert stored(place.door) == sorted(sender.acknowledged)
    assert place.open().actual().drift == []


def test_the_data_outlives_stop_and_nothing_else_does(place):
    place.deploy("1.0.0")
    assert send(place.door, [record(1), record(2)])[1]["accepted"] == 2
    assert place.open().stop("tests").outcome is Outcome.PASSED
    assert place.units.alive() == {}
    place.deploy("2.0.0")
    assert stored(place.door) == [1, 2]


def test_tokens_are_kept_with_the_environment_for_its_servers_alone(place):
    place.deploy("1.0.0")
    kept = place.folder / "collector/staging/secrets/tokens"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    wishes = "".join(path.read_text() for path in (place.units.folder / "units").glob("*.json"))
    argv = "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in place.units.alive().values())
    assert sha256(TOKEN.encode()).hexdigest() not in wishes + argv

    pids = place.units.alive()
    digest = sha256(b"the-other-token").hexdigest()
    place.tokens.write_text(place.tokens.read_text() + f"other read {digest}\n")
    other = {"authorization": "Bearer the-other-token"}
    assert ask(f"{place.door}/v1/shop", headers=other)[0] == 401
    assert place.deploy("1.0.0").outcome is Outcome.PASSED
    until(lambda: ask(f"{place.door}/v1/shop", headers=other)[0] == 200)
    assert place.units.alive() == pids, "nothing was started again"

    place.tokens.unlink()  # another agent does not have it
    assert place.deploy("2.0.0").outcome is Outcome.PASSED
    assert json.loads(read(place.door, "/v1/shop"))["project"] == "shop"


def test_without_any_sender_it_is_not_deployed(place):
    place.tokens.unlink()
    with pytest.raises(BadInput, match="secrets: has no tokens yet, and neither has this machine") as caught:
        place.deploy("1.0.0")
    assert "python -m collector.tokens" in caught.value.hint
    assert place.open().actual().live is None


@pytest.mark.parametrize("name", ["contract.shop.json", "code.zip", "golden.json"])
def test_a_bundle_that_was_tampered_with_is_refused_by_name(place, name):
    altered = place.bundles["1.0.0"] / name
    altered.write_bytes(altered.read_bytes().replace(b"York", b"Bonn").replace(b"shop", b"ship") + b"\n")
    with pytest.raises(BadInput, match=rf"{name}: sha256 is [0-9a-f]+…, the manifest says"):
        place.deploy("1.0.0")
    assert place.open().actual().live is None


def test_what_was_tampered_with_on_the_shelf_is_not_started_again(place):
    place.deploy("1.0.0")
    shelf = place.folder / "bundles" / place.release("1.0.0").bundle / "contract.shop.json"
    shelf.write_text(shelf.read_text().replace("York", "Bonn"))
    with pytest.raises(BadInput, match=r"contract\.shop\.json: sha256"):
        place.deploy("1.0.0")


def test_a_service_that_does_not_start_is_no_release_and_says_its_last_word(place):
    bundle = ServiceBundle(place.bundles["1.0.0"])
    (bundle.folder / "contract.shop.json").write_text("{}")  # after it was opened
    (check,) = trials.tried(bundle)
    assert check.outcome is Found.REJECTED
    assert "does not become ready: collector: bad input:" in check.message
    assert "contract.shop.json: sha256 is" in check.message


def test_statistics_and_canaries_are_nothing_for_a_service(place):
    from ci.adapters.wanted import strategy

    with pytest.raises(BadInput, match="canary: collector is a service, whose answers cannot be compared"):
        strategy("collector", place.shared, "staging", "canary")
    assert place.environment.verification.by == "health"
    assert type(environments.verifier("collector", place.environment, place.shared)).__name__ == "HealthVerifier"


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
