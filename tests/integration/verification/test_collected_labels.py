"""The real collection service as the judge's source of labels: a release falls ill, and days without labels wait."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci.adapters.monitoring.labels import CollectedLabels
from ci.adapters.monitoring.looking import verifier
from ci.collecting import contracts
from ci.files import sha256
from ci.params_verification import Collector, Verification
from ci.project import find
from ci.releases.record import Packaged, Release
from ci.rollout.interface import Answer, Arm, Question
from ci.verification.interface import CANARY
from ci.verification.labels import Answering, Cohort
from tests.e2e.collection import ROOT, TOKEN, Collection, collecting

BUNDLE = ROOT / "artifacts/flights"
FIRST = datetime(2013, 7, 1, 8, tzinfo=UTC)
pytestmark = pytest.mark.skipif(not (BUNDLE / "manifest.json").exists(), reason="no bundle: run make run first")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("collection")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        contracts.write([find("flights")], folder / "contracts")
    with collecting(folder, folder / "contracts") as made:
        yield made


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELS_TOKEN", TOKEN)
    monkeypatch.chdir(ROOT)


def played(service: Collection, version: str, wrong: list[float], n: int = 25) -> None:
    """Send predictions of so many flights a day that were all said to be on time, and what became of them a day later."""
    inputs = {"scheduled_arrival": 635, "carrier": "UA", "origin": "EWR", "dest": "IAH", "distance": 1400}
    events, outcomes, records = [], [], []
    for day, share in enumerate(wrong):
        for place in range(n):
            at = FIRST + timedelta(days=day, minutes=place)
            moment, request = at.strftime("%Y-%m-%dT%H:%M:%S"), f"{version}-{day}-{place}"
            row = {**inputs, "scheduled_departure": moment}
            events.append({"time": datetime.now(UTC).isoformat(), "request_id": request, "row": 0,
                           "release": f"flights@{version}", "version": version, "bundle": "sha256:" + "0" * 64,
                           "inputs": row, "probability": 0.2})  # fmt: skip
            known = (at + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
            if day < len(wrong) - 1:
                outcomes.append({"request_id": request, "known_at": known, "late": place < share * n})
            records.append({**row, "flight": 1 + place, "tailnum": None})
    for kind, rows in (("events", events), ("records", records), ("outcomes", outcomes)):
        said = service.post("flights", kind, rows)
        assert said["rejected"] == 0, said


def question(version: str) -> Question:
    nobody = Packaged(repository="x", digest="sha256:" + "0" * 64, size=0)
    release = Release(project="flights", version=version, bundle=sha256(BUNDLE / "manifest.json"), data_version="x",
                      recipe="0" * 64, packagings={"data": nobody}, key="x")  # fmt: skip
    return Question("flights", "here", Arm(release, "x", ()), None, 100, "2026-01-01T00:00:00+00:00", "", "")


def test_days_are_counted_by_what_was_predicted_and_the_newest_waits(service: Collection) -> None:
    played(service, "1.0.0", [0.2, 0.4, 0.0])
    policy = Collector(url=service.url, token_env="LABELS_TOKEN", page=50)
    found = CollectedLabels(policy, 1.0, lambda _: Answering("binary")).count(question("1.0.0"), [CANARY])
    assert found.arms[CANARY] == [
        Cohort(date(2013, 7, 1), 25, 25, 5), Cohort(date(2013, 7, 2), 25, 25, 10), Cohort(date(2013, 7, 3), 25, 0, 0),
    ]  # fmt: skip
    assert found.watermark == FIRST + timedelta(days=2, minutes=24)


@pytest.mark.parametrize(
    ("version", "wrong", "answer"),
    [
        ("2.0.0", [0.2] * 4, Answer.NOT_ENOUGH),
        ("2.1.0", [0.2] * 6 + [0.6] * 12, Answer.WORSE),
        ("2.2.0", [0.15] * 45, Answer.NOT_WORSE),
    ],
)
def test_a_verdict_on_labels_of_a_real_service(service: Collection, tmp_path: Path, version, wrong, answer) -> None:
    played(service, version, wrong)
    collector = {"url": service.url, "token_env": "LABELS_TOKEN"}
    policy = Verification.model_validate({"standard": ["quality"], "collector": collector, "deadline_s": 60})
    said: list[str] = []
    verify = verifier(policy, said.append, [BUNDLE], tmp_path)
    verify.looking.accept = lambda _: ()
    verdict = verify.verify(question(version))
    assert verdict.answer is answer, verdict.message
    assert said[0].startswith("quality: ")
    if answer is Answer.WORSE:
        assert "held against its own evaluation" in verdict.checks[0].message
