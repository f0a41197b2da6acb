"""The smoke test of a service is what its release stands on: by the packaging's own rules, and by promotion's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci.adapters import services, trials
from ci.adapters.releases import release_of
from ci.errors import BadInput
from ci.ledger.interface import By
from ci.packaging import gated
from ci.params_environments import Environment
from ci.promotion.checks import Wish, asked
from ci.releases.record import GateEvidence
from ci.releasing import Request
from ci.report import Check, Found
from ci.rollout.router import Routes, routes
from ci.services.bundle import ServiceBundle, make
from ci.shared import Shared
from tests.e2e.collectors import contract
from tests.releases import MemoryLedger, MemorySignatures, release


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceBundle:
    make([contract("York")], tmp_path / "b")
    monkeypatch.setattr(services, "VERDICT", tmp_path / "reports" / "smoke.json")
    return ServiceBundle(tmp_path / "b")


def judged(bundle: ServiceBundle, monkeypatch: pytest.MonkeyPatch, *checks: Check) -> GateEvidence:
    monkeypatch.setattr(trials, "tried", lambda _: list(checks))
    services.judge(bundle)
    return gated.evidence(services.VERDICT, bundle.digest)


def test_a_verdict_is_the_digest_of_its_report(bundle: ServiceBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(bundle, monkeypatch, Check("start", Found.PASSED, "ready"))
    assert (found.outcome, found.champion, found.test_set) == ("passed", None, None)
    with pytest.raises(BadInput, match="judged bundle"):
        gated.evidence(services.VERDICT, "0" * 64)


def test_one_check_that_fails_is_no_release(bundle: ServiceBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(gated.NotPassed, match="smoke test: start: does not become ready: no luck"):
        judged(bundle, monkeypatch, Check("start", Found.REJECTED, "does not become ready: no luck"))
    assert json.loads(services.VERDICT.read_text())["outcome"] == "rejected"


@pytest.mark.parametrize("option", ["champion", "anchor", "explain"])
def test_its_gate_has_no_options_of_a_models(option: str) -> None:
    with pytest.raises(BadInput, match=f"--{option}: collector has none: its gate is its smoke test"):
        services.gate(None, lambda _: None, **{option: "x"})


@pytest.mark.parametrize("found", [Found.PASSED, Found.REJECTED])
def test_its_gate_is_its_smoke_test(bundle: ServiceBundle, monkeypatch: pytest.MonkeyPatch, found: Found) -> None:
    monkeypatch.setattr(trials, "tried", lambda _: [Check("start", found, "as planned")])
    judged = services.gate(bundle.folder, lambda _: None, champion=None, explain=False)
    assert judged.outcome.value == found.value
    assert judged.data == {"challenger": bundle.digest}
    assert json.loads(services.VERDICT.read_text())["data"] == judged.data


def wrong(name: str) -> Request:
    return Request("collector", Path("artifacts/collector"), Path("x"), (name,))


def test_it_has_no_wheel() -> None:
    with pytest.raises(BadInput, match="embedded: collector has no such packaging"):
        services.package(wrong("embedded"), lambda _: None)


def test_it_has_no_golden_rows() -> None:
    with pytest.raises(BadInput, match="collector: is a service, which has no golden rows"):
        release_of(MemoryLedger(), "collector", None)


def checks(project: str, gate: Any) -> dict[str, Check]:
    ledger = MemoryLedger()
    record = release("1.0.0", project=project, gate=gate)
    ledger.register(record, By("ci"))
    order = [Environment(name="staging")]
    environments = Shared(projects=["flights"], environments=order).of(project).environments
    found = asked(Wish("1.0.0", environments[0].name, "ann"), ledger.history(project), environments,
                  MemorySignatures(), datetime(2026, 11, 24, 12, tzinfo=UTC))  # fmt: skip
    return {check.name: check for check in found.checks}


def test_promotion_asks_a_service_for_its_smoke_test_and_for_no_champion() -> None:
    passed = GateEvidence(outcome="passed", report="f" * 64)
    found = checks("collector", passed)
    assert "champion" not in found
    assert "gate" not in found
    assert (found["smoke test"].outcome, found["smoke test"].message) == (Found.PASSED, "passed (report ffffffffffff)")
    assert checks("collector", None)["smoke test"].outcome is Found.REJECTED
    assert {"gate", "champion"} <= set(checks("flights", passed))


def test_deliveries_are_tried_again_and_nothing_else_of_a_service() -> None:
    found = json.loads(
        routes(Routes(project="collector", shares=[{"cluster": "collector-v1-0-0", "hundredths": 10_000}]))
    )  # type: ignore[list-item]
    (tried,) = [
        item for item in found["resources"][0]["virtual_hosts"][0]["routes"] if "retry_policy" in item.get("route", {})
    ]
    assert tried["match"]["safe_regex"]["regex"] == "/v1/[^/]+/(records|events|outcomes)"
