"""New data as a reason to learn anew: what the policy says, and that a version is learned from once."""

from __future__ import annotations

from datetime import date

import pytest

from ci.errors import Outcome
from ci.params_retraining import Renewal
from ci.retraining.incidents import Nothing
from ci.retraining.renewal import Drifted, drifted, renewal
from ci.retraining.rules import Fresh
from tests.releases import START
from tests.unit.retraining.test_retrain import AUGUST, World, held_by, memory

FRESH = Fresh(date(2013, 7, 1), AUGUST, 29_000)
CALM, WEATHER = Drifted([], 0.0, []), Drifted(["dewp", "humid"], 2 / 16, [])
CARRIER = Drifted(["carrier"], 1 / 16, ["carrier"])


def asked(policy, drift=CALM, fresh=FRESH):
    return renewal(Renewal.model_validate(policy), "production", "1.1.0", fresh, drift, START)


@pytest.mark.parametrize(
    ("policy", "drift", "why"),
    [
        ({"on": "always"}, None, "each data version"),
        ({"on": "drift"}, CARRIER, "carrier drifted"),
        ({"on": "drift", "drifted_share": 0.1}, WEATHER, "12% of the features drifted (dewp, humid)"),
        ({"on": "schedule"}, None, "nothing of its last 31 days"),
    ],
)
def test_a_reason(policy, drift, why):
    found = asked(policy, drift)
    assert (found.key, found.cause, found.version) == ("production:data:2013-08-01", "data", "1.1.0")
    assert why in found.why


@pytest.mark.parametrize(
    ("policy", "drift", "why"),
    [
        ({"on": "never"}, CARRIER, "retrain.on: never"),
        ({"on": "drift"}, WEATHER, "dewp, humid drifted, which is no reason"),
        ({"on": "drift"}, CALM, "nothing drifted"),
        ({"on": "drift"}, None, "nobody has checked"),
        (
            {"on": "schedule", "every_days": 60},
            None,
            "31 days newer than what the live release knows, 60 are waited for",
        ),
    ],
)
def test_no_reason(policy, drift, why):
    found = asked(policy, drift)
    assert isinstance(found, Nothing)
    assert why in found.why


def test_the_report_of_the_check_is_read():
    def check(name, observed=None, outcome="warned"):
        return {"name": name, "observed": observed, "outcome": outcome}

    document = {"checks": [check("schema"), check("drift dewp", 5.4), check("drift late", 0.3), check("drift", 1 / 16)]}
    assert drifted(document, "late", ["carrier"]) == Drifted(["dewp", "late"], 1 / 16, ["late"])
    assert drifted({}, "late", []) == Drifted([], None, [])


@pytest.mark.parametrize(
    ("former", "columns"), [(None, ["seats", "late"]), (date(2013, 7, 1), ["seats", "late"]), (date(2023, 2, 1), [])]
)
def test_an_era_that_the_live_release_does_not_know_is_news(former, columns):
    began = {"name": "beginning 2023-01", "observed": 0.4, "outcome": "passed",
             "extra": {"start": "2023-01-01T00:00:00", "drifted": ["seats", "late"]}}  # fmt: skip
    document = {"checks": [{"name": "drift", "observed": 0.0, "outcome": "passed"}, began]}
    found = drifted(document, "late", ["carrier"], former)
    assert found == Drifted(columns, 0.4 if columns else 0.0, ["late"] if columns else [])


def data(world, **changes):
    given = asked({"on": "always"}, fresh=FRESH)
    return world.run(given=given.model_copy(update=changes))


def test_a_data_version_is_learned_from_once_and_leaves_nothing_open():
    world = World(memory=memory())
    assert data(world).outcome is Outcome.PASSED
    again = data(world)
    assert (again.outcome, len(world.starter.asked)) == (Outcome.PASSED, 1)
    assert "learned from already" in again.message
    world.clock.go(days=2)
    assert "nobody has looked" in world.run().message
    assert world.keeper.kept.open() is None


def test_a_rejected_one_does_not_hold_up_the_next_but_the_cooldown_does():
    world = World()
    world.starter.ends = ["rejected", "passed"]
    assert data(world).outcome is Outcome.REJECTED
    soon = data(world, key="production:data:2013-09-01")
    assert held_by(soon) == ["cooldown", "daily budget"]
    world.clock.go(days=2)
    assert data(world, key="production:data:2013-09-01").outcome is Outcome.PASSED


def test_an_open_incident_goes_first():
    world = World()
    world.starter.ends = ["rejected"]
    assert world.run().outcome is Outcome.REJECTED  # the windows of the world are worse
    world.clock.go(days=2)
    assert held_by(data(world)) == ["open incident"]


def test_one_that_came_to_nothing_is_tried_again():
    world = World()
    world.starter.ends = ["failed", "passed"]
    assert data(world).outcome is Outcome.UNAVAILABLE
    world.clock.go(days=2)
    assert data(world).outcome is Outcome.PASSED
