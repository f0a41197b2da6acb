"""What `steps.verify --record` tells the ledger, and what promotion reads from it."""

from __future__ import annotations

import pytest

from ci.errors import BadInput
from ci.ledger.interface import By, Quicker
from ci.promotion.words import record, remembered
from ci.report import Found
from ci.rollout.interface import Answer, Arm, Question, Verdict
from tests.releases import MemoryLedger, release

ANN = By("ann")


def question(version):
    arm = Arm(release(version), f"flights-v{version}", ["127.0.0.1:1"])
    return Question("flights", "staging", arm, None, 100, "2026-11-24T10:00:00+00:00", "", "http://door")


@pytest.fixture
def ledger():
    made = MemoryLedger()
    for version in ("1.0.0", "1.1.0"):
        made.register(release(version), ANN)
    made.live("1.0.0", "staging", verified=False)
    return made


@pytest.mark.parametrize(("answer", "well"), [(Answer.NOT_WORSE, True), (Answer.WORSE, False)])
def test_a_look_is_what_promotion_reads(ledger, answer, well):
    asked = question("1.0.0")
    seen = remembered(asked, ledger)
    check = record(asked, Verdict(answer, "", evidence={"windows": "a" * 64}), ledger, ANN, seen)
    assert check.outcome is Found.PASSED
    history = ledger.history("flights")
    look = history.looked(history.live("staging"))
    assert (look.kind, look.verified, look.evidence) == ("verified", well, {"windows": "a" * 64})


@pytest.mark.parametrize("answer", [Answer.NOT_ENOUGH, Answer.INVALID])
def test_what_found_out_nothing_is_not_recorded(ledger, answer):
    asked = question("1.0.0")
    before = len(ledger.tags)
    check = record(asked, Verdict(answer, "", evidence={"w": "a" * 64}), ledger, ANN, remembered(asked, ledger))
    assert (check.outcome, len(ledger.tags)) == (Found.SKIPPED, before)


def test_only_what_the_ledger_holds_as_live_is_recorded(ledger):
    with pytest.raises(BadInput, match=r"flights@v1\.1\.0: by the ledger not live in staging: flights@v1\.0\.0 is"):
        remembered(question("1.1.0"), ledger)
    with pytest.raises(BadInput, match="unknown version"):
        remembered(question("9.0.0"), ledger)


def test_a_look_at_what_was_replaced_meanwhile_is_not_recorded(ledger):
    asked = question("1.0.0")
    seen = remembered(asked, ledger)
    ledger.live("1.1.0", "staging")
    with pytest.raises(Quicker):
        record(asked, Verdict(Answer.NOT_WORSE, "", evidence={"w": "a" * 64}), ledger, ANN, seen)
