"""Whoever waits for a rollout is told what verification sees: the steps' voice reaches it on both ways in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.adapters import deploying, environments, floors, people, wanted
from ci.errors import Outcome
from ci.ledger.interface import By
from ci.params_environments import Environment
from ci.rollout.interface import Actual, Moved
from ci.shared import Shared
from tests.releases import release

SHARED = Shared(projects=["flights"], environments=[Environment(name="staging")])


class Rolls:
    """An environment that says what its verifier would say."""

    def roll_out(self, record: Any, strategy: Any, verifier: Any, who: str) -> Moved:
        verifier("window 1: 20 requests")
        return Moved(Outcome.PASSED, "flights@v1.1.0 is live", "1.1.0", None)

    def actual(self) -> Actual:
        return Actual("1.1.0")


@pytest.fixture(autouse=True)
def _doors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "running", lambda *_given, **_how: Rolls())
    monkeypatch.setattr(environments, "verifier", lambda _project, _environment, _shared, say=lambda _: None: say)
    monkeypatch.setattr(people, "by", lambda actor, reason: By(actor or "ann", reason, None))
    monkeypatch.setattr(floors, "records", lambda *_given, **_how: None)


def order(record: Path | None = None) -> deploying.Order:
    return deploying.Order("staging", "v1.1.0", record, (), None, None, None, "", dry_run=False)


def test_a_trial_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted, "trial", lambda *_given: release("1.1.0"))
    said: list[str] = []
    deploying.deploy("flights", order(Path("record.json")), SHARED, said.append)
    assert said == ["window 1: 20 requests"]


def test_a_promotion_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(deploying, "promote", lambda _project, _wish, floor, **_how: floor.verifier("window 1"))
    deploying.deploy("flights", order(), SHARED, said.append)
    assert said == ["window 1"]
