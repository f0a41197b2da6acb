"""Rollback: to what was well, at night too; marks, approvals, status and history."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ci.errors import BadInput, Outcome, Unavailable
from ci.ledger.event import Kind
from ci.ledger.interface import By
from ci.promotion.records import Records
from ci.promotion.rollback import Retreat, roll_back
from ci.promotion.telling import Place, lines, status, told
from ci.promotion.words import approve, mark
from tests.releases import START, MemoryLedger, MemoryQueue, MemoryRunning, release

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


class Night:
    """v1.0.0 and v1.2.0 were verified in production, v1.1.0 was not; v1.2.0 is live, and sick."""

    def __init__(self):
        self.ledger, self.queue, self.running = MemoryLedger(), MemoryQueue(), MemoryRunning("1.2.0")
        for version in VERSIONS:
            self.ledger.register(release(version), By("ann"))
        self.ledger.live("1.0.0", "production")
        self.ledger.live("1.1.0", "production", verified=False)
        self.ledger.live("1.2.0", "production")

    def back(self, version=None, **more):
        records = Records(self.ledger, self.queue, self.ledger.clock)
        options = {"dry_run": more.pop("dry_run", False)}
        return roll_back("flights", Retreat("production", "ann", version, **more), self.running, records, **options)

    @property
    def history(self):
        return self.ledger.history("flights")


def test_back_to_the_last_live_and_verified_one():
    night = Night()
    result = night.back(reason="errors rise")
    assert result.outcome is Outcome.PASSED
    assert result.message.startswith("production is back at flights@v1.0.0")
    event = night.history.trusted().live("production")
    assert (event.version, event.how, event.former, event.reason) == ("1.0.0", "rolled back", "1.2.0", "errors rise")
    assert night.running.moves == [("roll back", "1.0.0", "ann")]


@pytest.mark.parametrize("version", [None, "1.2.0"])
def test_while_a_rollout_is_under_way_back_is_to_what_is_live_and_ends_it(version):
    night = Night()
    night.running.held_by, night.running.resumes = "bob since 12:00", True
    result = night.back(version, reason="the canary errs")
    assert result.outcome is Outcome.PASSED
    assert night.running.moves == [("roll back", "1.2.0", "ann")]
    assert night.history.trusted().live("production").version == "1.2.0"


def test_what_is_marked_bad_is_passed_over_and_refused_unless_forced():
    night = Night()
    night.ledger.did(Kind.BAD, "1.0.0", actor="eve", reason="leaks")
    result = night.back()
    assert result.outcome is Outcome.REJECTED
    assert "nothing else was live, verified and not marked bad" in result.message
    assert result.hint == "--to names one all the same; there were v1.2.0, v1.1.0, v1.0.0"
    refused = night.back("1.0.0")
    assert refused.outcome is Outcome.REJECTED
    assert "was marked bad by eve" in refused.message
    with pytest.raises(BadInput, match="--reason: missing"):
        night.back("1.0.0", force=True)
    assert not night.running.moves
    assert night.back("1.0.0", force=True, reason="the other is worse").outcome is Outcome.PASSED


def test_what_never_was_here_is_no_way_back():
    night = Night()
    night.ledger.register(release("1.3.0"), By("ann"))
    assert "never was live in production" in night.back("1.3.0").message
    with pytest.raises(BadInput, match="unknown version"):
        night.back("7.0.0")


def test_an_unverified_one_is_gone_back_to_if_named_and_said_so():
    result = Night().back("1.1.0")
    assert result.outcome is Outcome.PASSED
    assert any("never verified" in check.message for check in result.checks)


def test_without_the_remote_the_traffic_moves_and_the_record_waits():
    night = Night()
    night.ledger.silent = True
    result = night.back()
    assert result.outcome is Outcome.PASSED
    assert night.running.live == "1.0.0"
    assert "it waits in the environment: `python -m steps.reconcile` adds it" in result.message
    night.ledger.silent = False
    assert night.history.live("production").version == "1.2.0"
    night.ledger.clock.go(hours=8)
    Records(night.ledger, night.queue, night.ledger.clock).settle(night.running.actual)
    event = night.history.live("production")
    assert event.version == "1.0.0"
    assert event.happened < event.at
    assert night.history.at(START + timedelta(hours=1)).live("production").version == "1.0.0"


def test_neither_a_full_disk_nor_a_spoilt_ledger_stops_a_rollback():
    night = Night()
    night.queue.full = True
    del night.ledger.tags[1]
    result = night.back()
    assert result.outcome is Outcome.PASSED
    assert night.running.live == "1.0.0"
    assert "not kept with the environment either" in result.message
    assert any("not to be trusted" in check.message for check in result.checks)


def test_a_stale_clone_leaves_what_runs_and_not_what_it_remembers():
    night = Night()
    night.running.live = "1.0.0"  # somebody rolled back already; this clone did not hear of it
    night.ledger.silent = True
    assert night.back("1.0.0").message == "flights@v1.0.0 is live in production already"
    assert not night.running.moves


def test_once_more_and_dry():
    night = Night()
    assert "would go back to flights@v1.0.0" in night.back(dry_run=True).message
    assert not night.running.moves
    night.back("1.0.0")
    assert "already" in night.back("1.0.0").message
    assert len(night.running.moves) == 1


def test_not_restored_is_told_and_remembered():
    night = Night()
    night.running.ends = Outcome.NOT_RESTORED
    result = night.back()
    assert result.outcome is Outcome.NOT_RESTORED
    assert "call somebody" in result.hint
    assert night.history.events[-1].kind is Kind.ABORTED


def test_an_environment_that_does_not_answer_is_unavailable():
    night = Night()
    night.running.silent = True
    with pytest.raises(Unavailable):
        night.back()


def test_marks_need_a_reason_and_are_made_once():
    night = Night()
    by = By("eve", "leaks the target")
    with pytest.raises(BadInput, match="--reason: missing"):
        mark("flights", "1.2.0", night.ledger, By("eve", " "), bad=True)
    first = mark("flights", "1.2.0", night.ledger, by, bad=True)
    assert first.message == "flights@v1.2.0 marked bad by eve: leaks the target"
    assert first.hint == "it is live in production: python -m steps.rollback"
    count = len(night.history.events)
    assert "marked bad already (eve: leaks the target)" in mark("flights", "1.2.0", night.ledger, by, bad=True).message
    assert len(night.history.events) == count
    assert approve("flights", "1.2.0", "production", night.ledger, by).outcome is Outcome.REJECTED
    mark("flights", "1.2.0", night.ledger, By("bob", "was a false alarm"), bad=False)
    assert night.history.bad("1.2.0") is None
    assert approve("flights", "1.2.0", "production", night.ledger, by).outcome is Outcome.PASSED
    assert "bears no bad mark" in mark("flights", "1.2.0", night.ledger, by, bad=False).message


def looked(night):
    place = Place("flights", "production", night.running.actual, night.queue)
    return status([place], {"flights": night.history}, {})


def test_status_names_drift():
    night = Night()
    well = looked(night)
    assert (well.outcome, well.message) == (Outcome.PASSED, "1 of 1 run as the ledger says")
    night.running.live = "1.1.0"
    off = looked(night)
    assert off.outcome is Outcome.REJECTED
    assert "flights in production: v1.1.0 runs, the ledger says v1.2.0" in off.message
    night.running.live, night.running.drift = "1.2.0", ["1 of 2 servers of v1.2.0 is gone"]
    assert "1 of 2 servers of v1.2.0 is gone" in looked(night).message
    night.running.silent = True
    assert looked(night).outcome is Outcome.UNAVAILABLE
    assert "v1.2.0" in lines(well)
    assert well.data["places"][0]["intended"] == "1.2.0"


def test_history_tells_what_was_live_then():
    night = Night()
    first = night.history.assigned("production")[0]
    result = told(night.history, ["staging", "production"], START + timedelta(seconds=20), None)
    assert result.outcome is Outcome.PASSED
    assert "production v1.2.0" in result.message
    from ci.ledger.event import moment_of

    then = told(night.history, ["staging", "production"], moment_of(first.at), None)
    assert "staging –, production v1.0.0" in then.message
    del night.ledger.tags[0]
    assert told(night.history, [], None, None).outcome is Outcome.REJECTED


def test_what_waited_longer_is_told_first_and_nothing_is_told_twice():
    night = Night()
    records = Records(night.ledger, night.queue, night.ledger.clock)
    night.ledger.silent = True
    night.back("1.1.0")
    night.ledger.silent = False
    kept = dict(night.queue.kept)
    night.back("1.0.0")
    assert [event.version for event in night.history.assigned("production")][-2:] == ["1.1.0", "1.0.0"]
    assert not night.queue.kept
    night.queue.kept.update(kept)  # as if the writer had died before it forgot
    count = len(night.history.events)
    records.settle(night.running.actual)
    assert len(night.history.events) == count
    assert not night.queue.kept


def test_back_where_it_was_within_a_second_is_an_event_of_its_own():
    night = Night()
    records = Records(night.ledger, night.queue, night.ledger.clock)
    night.ledger.silent = True
    night.back("1.1.0")
    night.ledger.silent = False
    (waiting,) = night.queue.kept.values()
    there = waiting.draft.model_copy(update={"former": "1.0.0", "how": "promoted"})
    sick = night.history.live("production")
    night.ledger.add(there)
    night.ledger.add(there.model_copy(update={
        "version": sick.version, "release": sick.release, "packagings": sick.packagings, "former": "1.1.0",
    }))  # fmt: skip
    records.settle(night.running.actual)
    assert night.history.live("production").version == "1.1.0"
