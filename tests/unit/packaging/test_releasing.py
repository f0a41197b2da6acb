"""Making a release: who is refused, what is found again, what is said of what cannot be made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ci.adapters.registry import LayoutRegistry
from ci.errors import BadInput, Outcome, Unavailable
from ci.ledger.event import Draft, Event, Kind
from ci.ledger.history import History
from ci.ledger.interface import By
from ci.model.bundle import digest
from ci.packaging import gated
from ci.packaging.signing import Signer
from ci.packaging.way import Order, Product
from ci.packaging.ways import Data, Embedded
from ci.params_packaging import Registry as Place
from ci.releases.record import Release
from ci.releases.versions import Proposal
from ci.releasing import Desk, Request, release
from ci.report import Check, Found
from tests.unit.packaging import sealed


class FakeLedger:
    """Keeps what is registered; tests/integration has the one in Git."""

    place = "memory"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def history(self, project: str, *, offline: bool = False) -> History:
        return History(project, tuple(self.events))

    def register(self, release: Release, by: By) -> Event:
        event = Event(
            kind=Kind.REGISTERED, project=release.project, version=release.version, release=release.digest, actor=by.actor,
            reason=by.reason, record=release, number=len(self.events) + 1, commit="a" * 40, at="2024-01-01T00:00:00Z",
            previous=None if not self.events else "b" * 40,
        )  # fmt: skip
        self.events.append(event)
        return event

    def add(self, draft: Draft, seen: History | None = None) -> Event:
        raise AssertionError


class Advisers:
    scanned = Found.PASSED

    def version(self, history: History, bundle: Any, recipe: str) -> Proposal:
        return Proposal(f"1.{len(history.events)}.0", "because")

    def scan(self, folder: Path) -> Sequence[Check]:
        return [Check("secrets and pickles", self.scanned, "looked")]

    def sbom(self, order: Order) -> bytes:
        return b'{"bomFormat": "CycloneDX"}'


class NoEngine:
    kind = "service"

    def recipe(self) -> str:
        raise Unavailable("docker: no engine answers", hint="ci/setup/docker starts one")

    def make(self, order: Order) -> Product:
        raise AssertionError


class Bad:
    kind = "service"

    def recipe(self) -> str:
        return "f" * 64

    def make(self, order: Order) -> Product:
        return Product([Check("golden rows", Found.REJECTED, "answers differ")])


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = sealed.write(tmp_path / "bundle")
    monkeypatch.setattr("ci.packaging.ways.DIST", tmp_path / "dist")
    return folder


def judged(bundle: Path, outcome: str = "passed", challenger: str | None = None) -> Path:
    report = bundle.parent / "flights" / "gate.json"
    report.parent.mkdir(exist_ok=True)
    inputs = {"champion": "none", "test set": "9" * 64}
    document = {
        "outcome": outcome,
        "message": "auc",
        "data": {"challenger": challenger or digest(bundle)},
        "inputs": inputs,
    }
    report.write_text(json.dumps(document))
    return report


def tried(wheel: Path, package: str, golden: Path) -> list[Check]:
    assert wheel.is_file()
    return [Check("wheel", Found.PASSED, f"{package} works")]


def desk(tmp_path: Path, *more: Any) -> Desk:
    store, place = LayoutRegistry(tmp_path / "layout"), Place(layout=str(tmp_path / "layout"))
    ways = [*more, Embedded(store, place, tried), Data(store, place)]
    signer = Signer(Ed25519PrivateKey.generate())
    return Desk(ways, store, FakeLedger(), lambda: signer, Advisers(), By("me"), "c" * 40, lambda _: None)


def test_releases_what_can_be_made_and_names_what_cannot(bundle: Path, tmp_path: Path) -> None:
    found = release(Request("flights", bundle, judged(bundle)), desk(tmp_path, NoEngine()))
    assert found.outcome is Outcome.PASSED
    assert found.message == "released flights@v1.0.0 as embedded, data; not service"
    (missing,) = [check for check in found.checks if check.outcome is Found.SKIPPED]
    assert "ci/setup/docker" in missing.message
    record = Release.model_validate(found.data["release"])
    assert set(record.packagings) == {"embedded", "data"}
    assert record.gate
    assert record.gate.test_set == "9" * 64
    store = LayoutRegistry(tmp_path / "layout")
    for item in record.packagings.values():
        assert store.resolve(item.repository, "1.0.0") == item.digest
        assert {kind for _, kind in store.referrers(item.repository, item.digest)} == {
            "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
        }  # fmt: skip


def test_the_same_bundle_made_the_same_way_is_the_same_release(bundle: Path, tmp_path: Path) -> None:
    at = desk(tmp_path)
    first = release(Request("flights", bundle, judged(bundle)), at)
    again = release(Request("flights", bundle, judged(bundle)), at)
    assert again.message.startswith("already released as flights@v1.0.0")
    assert again.data == first.data
    other = release(Request("flights", bundle, judged(bundle), asked=("data",)), at)
    assert "flights@v1.1.0" in other.message


def test_what_is_gone_from_the_registry_is_told(bundle: Path, tmp_path: Path) -> None:
    at = desk(tmp_path)
    record = Release.model_validate(release(Request("flights", bundle, judged(bundle)), at).data["release"])
    at.registry.delete(record.packagings["data"].repository, record.packagings["data"].digest)
    again = release(Request("flights", bundle, judged(bundle)), at)
    assert [check.message for check in again.checks if check.outcome is Found.WARNED] == [
        f"{at.registry.place}: data is not there any more"
    ]


def test_what_was_asked_for_and_cannot_be_made_stops_everything(bundle: Path, tmp_path: Path) -> None:
    at = desk(tmp_path, NoEngine())
    with pytest.raises(Unavailable, match="service: cannot be made here: docker: no engine answers") as caught:
        release(Request("flights", bundle, judged(bundle), asked=("service", "data")), at)
    assert "ci/setup/docker" in caught.value.hint
    assert not (tmp_path / "layout").exists()


def test_a_packaging_that_fails_its_trial_leaves_no_release(bundle: Path, tmp_path: Path) -> None:
    at = desk(tmp_path, Bad())
    found = release(Request("flights", bundle, judged(bundle)), at)
    assert found.outcome is Outcome.REJECTED
    assert "answers differ" in found.message
    assert not at.ledger.history("flights").events
    assert not at.registry.tags("slipway/flights-data")


def test_a_secret_in_the_bundle_stops_it(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Advisers, "scanned", Found.REJECTED)
    found = release(Request("flights", bundle, judged(bundle)), desk(tmp_path))
    assert found.outcome is Outcome.REJECTED
    assert not (tmp_path / "layout").exists()


def test_a_dry_run_builds_and_pushes_nothing(bundle: Path, tmp_path: Path) -> None:
    at = desk(tmp_path)
    found = release(Request("flights", bundle, judged(bundle), dry_run=True), at)
    assert found.message == "would release flights@v1.0.0 as embedded, data; nothing was built"
    assert found.facts["why this version"] == "because"
    assert not (tmp_path / "layout").exists()
    assert not (tmp_path / "dist").exists()
    assert not at.ledger.history("flights").events


def test_a_version_that_is_another_release_is_refused(bundle: Path, tmp_path: Path) -> None:
    at = desk(tmp_path)
    release(Request("flights", bundle, judged(bundle), version="2.0.0"), at)
    with pytest.raises(BadInput, match=r"flights@v2\.0\.0: is another release already"):
        release(Request("flights", bundle, judged(bundle), asked=("data",), version="2.0.0"), at)


def test_what_nobody_judged_is_released_only_with_a_reason_and_says_so(bundle: Path, tmp_path: Path) -> None:
    at, nowhere = desk(tmp_path), tmp_path / "flights" / "none.json"
    with pytest.raises(BadInput, match="nobody has judged this bundle"):
        release(Request("flights", bundle, nowhere), at)
    found = release(Request("flights", bundle, nowhere, ungated="a demonstration"), at)
    assert found.data["release"]["gate"] is None
    assert "never promoted" in found.facts["gate"]


@pytest.mark.parametrize("outcome", ["rejected", "inconclusive", "crashed"])
def test_only_a_gate_that_passed_opens(bundle: Path, outcome: str) -> None:
    with pytest.raises(gated.NotPassed, match=f"{outcome}: auc") as caught:
        gated.evidence(judged(bundle, outcome), digest(bundle))
    assert caught.value.outcome is Outcome.REJECTED


def test_a_verdict_about_another_bundle_is_none(bundle: Path) -> None:
    with pytest.raises(BadInput, match="judged bundle 000000000000"):
        gated.evidence(judged(bundle, challenger="0" * 64), digest(bundle))


def test_a_bundle_that_was_changed_is_refused(bundle: Path, tmp_path: Path) -> None:
    report = judged(bundle)
    (bundle / "model.onnx").write_bytes(b"another")
    with pytest.raises(BadInput, match=r"model\.onnx"):
        release(Request("flights", bundle, report), desk(tmp_path))
