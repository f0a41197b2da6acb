"""Promotion: each refusal with its sentence, and what becomes of traffic and ledger in every way that it may end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ci.errors import BadInput, Outcome, Unavailable
from ci.ledger.event import Kind, drafted
from ci.ledger.interface import By
from ci.params_environments import Approvals, Environment, Window
from ci.promotion.checks import Wish
from ci.promotion.keeping import keep
from ci.promotion.promote import Floor, promote, told_of
from ci.promotion.records import Records, evidence_of, how_it_ended
from ci.report import Check, Found, Result
from ci.rollout.interface import Moved
from tests.releases import SEEN, MemoryLedger, MemoryQueue, MemoryRunning, MemorySignatures, release

WISH = Wish("1.1.0", "production", "ann", "better")


class Scene:
    """v1.0.0 live in production; v1.1.0, judged against it, live and verified in staging."""

    def __init__(self, *, verified=True, approvals=None, **target):
        self.ledger, self.queue, self.signatures = MemoryLedger(), MemoryQueue(), MemorySignatures()
        self.running = MemoryRunning("1.0.0")
        self.order = [
            Environment(name="staging"),
            Environment(name="production", approvals=approvals or Approvals(), **target),
        ]
        self.ledger.register(release("1.0.0"), By("ann"))
        self.ledger.register(release("1.1.0", champion="1.0.0"), By("ann"))
        self.ledger.live("1.0.0", "staging")
        self.ledger.live("1.0.0", "production")
        self.ledger.live("1.1.0", "staging", verified=verified)

    def promote(self, wish=WISH, **options):
        records = Records(self.ledger, self.queue, self.ledger.clock)
        return promote("flights", wish, Floor(self.order, self.running, None, records, self.signatures), **options)

    @property
    def history(self):
        return self.ledger.history("flights")

    def untouched(self, events=5):
        return (
            not self.running.moves
            and self.running.live == "1.0.0"
            and len(self.history.events) >= events
            and not self.queue.kept
        )


def test_a_release_moves_and_the_ledger_remembers_everything():
    scene = Scene()
    result = scene.promote(replace(WISH, approver="bob", build="https://jenkins.example.org/7/"))
    assert result.outcome is Outcome.PASSED, result.message
    assert (len(result.facts["digest"]), result.data["digest"]) == (12, scene.history.release("1.1.0").digest)
    event = scene.history.trusted().live("production")
    assert (event.version, event.actor, event.approver, event.reason) == ("1.1.0", "ann", "bob", "better")
    assert (event.former, event.verified, event.evidence, event.build) == (
        "1.0.0",
        True,
        SEEN,
        "https://jenkins.example.org/7/",
    )
    assert event.packagings["service"] == release("1.1.0").packagings["service"].digest
    assert scene.running.live == "1.1.0"
    assert not scene.queue.kept


def test_once_more_changes_nothing():
    scene = Scene()
    scene.promote()
    again = scene.promote()
    assert again.outcome is Outcome.PASSED
    assert "is live in production already, since 2026-11-24T10:" in again.message
    assert len(scene.running.moves) == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("flights@v1.1.0 is live", "there"),
        ("flights@v1.1.0 is live already", "there already"),
        ("flights@v1.1.0 is live again", "there"),
        (
            "flights@v1.1.0 is live; not tidied up: Envoy is silent",
            "there; not tidied up: Envoy is silent",
        ),
        ("nothing to do", "there: nothing to do"),
    ],
)
def test_nothing_is_said_twice(said, told):
    moved = Moved(Outcome.PASSED, said, "1.1.0", "1.0.0")
    assert told_of(moved, Result(""), Check("record", Found.PASSED, "kept"), "there").message == told


def test_a_dry_run_tells_plan_and_checks_and_moves_nothing():
    scene = Scene()
    result = scene.promote(dry_run=True)
    assert result.outcome is Outcome.PASSED
    assert result.facts["in the place of"] == "flights@v1.0.0"
    names = [check.name for check in result.checks]
    assert names == [
        "ledger",
        "signature",
        "mark",
        "gate",
        "champion",
        "order",
        "verified below",
        "four eyes",
        "freeze",
        "window",
    ]
    assert scene.untouched()


def skipped(scene):
    scene.ledger.register(release("1.2.0", champion="1.0.0"), By("ann"))
    return replace(WISH, version="1.2.0")


def from_elsewhere(scene):
    return replace(WISH, origin="production")


def stale(scene):
    scene.ledger.register(release("1.0.1", champion="1.0.0"), By("ann"))
    scene.ledger.live("1.0.1", "production")


def unjudged(scene):
    scene.ledger.register(release("1.2.0", gate=None), By("ann"))
    scene.ledger.live("1.2.0", "staging")
    return replace(WISH, version="1.2.0")


def forced(scene):
    scene.ledger.register(release("1.2.0", champion="1.0.0", outcome="rejected"), By("ann"))
    scene.ledger.live("1.2.0", "staging")
    return replace(WISH, version="1.2.0")


def unsigned(scene):
    scene.signatures.why = "unsigned: no signed provenance refers to it"


def marked(scene):
    scene.ledger.did(Kind.BAD, "1.1.0", actor="eve", reason="leaks the target")


def tampered(scene):
    del scene.ledger.tags[2]


def moved(scene):
    scene.ledger.tags[3] = replace(scene.ledger.tags[3], commit="0" * 40)


def worse_below(scene):
    scene.ledger.did(Kind.VERIFIED, "1.1.0", "staging", verified=False, evidence=SEEN)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (skipped, "order: v1.2.0 is not live in staging: flights@v1.1.0 is"),
        (from_elsewhere, "order: not from production: the way to production leads over staging"),
        (stale, "champion: stale gate: judged against flights@v1.0.0, but flights@v1.0.1 is live in production now: run the gate again"),
        (unjudged, "gate: flights@v1.2.0 was never judged by the gate"),
        (forced, "gate: rejected: only --force with a --reason takes it further"),
        (unsigned, "signature: flights@v1.1.0: unsigned: no signed provenance refers to it"),
        (marked, "mark: flights@v1.1.0 was marked bad by eve at "),
        (tampered, "ledger: not to be trusted: event 3 is missing: its tag was deleted (flights#production#4 is 4)"),
        (moved, "ledger: not to be trusted: flights#production#4: moved: it points to 0000000000, its message to "),
        (worse_below, "verified below: the last look at it in staging (2026-11-24T10:"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)  # fmt: skip
def test_refusals_say_why_and_move_nothing(prepare, sentence):
    scene = Scene()
    wish = prepare(scene) or WISH
    result = scene.promote(wish)
    assert result.outcome is Outcome.REJECTED
    assert result.message.startswith(f"flights@v{wish.version} does not enter production: {sentence}")
    assert scene.untouched(4)
    assert scene.promote(wish, dry_run=True).outcome is Outcome.REJECTED


FOUR = Approvals(four_eyes=True, valid_hours=2)


@pytest.mark.parametrize(
    ("named", "given", "sentence"),
    [
        ("ann", None, "ann asks and approves: that is one person twice"),
        ("ANN ", None, "ANN asks and approves: that is one person twice"),
        ("ａｎｎ", None, "asks and approves: that is one person twice"),
        (None, ("Ann", 0, "1.1.0"), "ann asks and approves: that is one person twice"),
        (None, ("bob", 3, "1.1.0"), "the approval by bob expired at 2026-11-24T12:"),
    ],
)
def test_four_eyes_are_of_two_people(named, given, sentence):
    scene = Scene(approvals=FOUR)
    if given:
        scene.ledger.did(Kind.APPROVED, given[2], "production", actor=given[0])
        scene.ledger.clock.go(hours=given[1])
    result = scene.promote(replace(WISH, approver=named.strip() if named else None))
    assert result.outcome is Outcome.REJECTED
    assert f"four eyes: {sentence}" in result.message or (sentence in result.message and named == "ａｎｎ")
    assert scene.untouched()


@pytest.mark.parametrize("version", [None, "1.0.0"])
def test_where_nobody_has_agreed_yet_a_person_is_to_be_asked(version):
    scene = Scene(approvals=FOUR)
    if version:
        scene.ledger.did(Kind.APPROVED, version, "production", actor="bob")
    result = scene.promote()
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "four eyes: nobody but ann has agreed yet" in result.message
    assert scene.untouched()


def test_a_refusal_is_one_whoever_is_still_to_be_asked():
    scene = Scene(approvals=FOUR)
    scene.ledger.did(Kind.BAD, "1.1.0", reason="slow")
    assert scene.promote().outcome is Outcome.REJECTED


def test_an_approval_in_the_ledger_is_remembered_with_the_move():
    scene = Scene(approvals=FOUR)
    scene.ledger.did(Kind.APPROVED, "1.1.0", "production", actor="bob")
    assert scene.promote().outcome is Outcome.PASSED
    assert scene.history.live("production").approver == "bob"


def test_frozen_and_out_of_hours():
    frozen = Scene(freeze=[Window(dates=("2026-11-20", "2026-11-30"), why="Black Friday")])
    assert "freeze: production is frozen (2026-11-20 to 2026-11-30 UTC): Black Friday" in frozen.promote().message
    closed = Scene(windows=[Window(days=["mon"], hours=("09:00", "16:00"), zone="Europe/Berlin")])
    result = closed.promote()
    assert result.outcome is Outcome.REJECTED
    assert "window: production takes releases only within mon 09:00 to 16:00 Europe/Berlin" in result.message


def test_nobody_looked_below_is_not_enough_to_say():
    scene = Scene(verified=False)
    result = scene.promote()
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "verified below: nobody has verified it in staging yet" in result.message
    scene.ledger.did(Kind.VERIFIED, "1.1.0", "staging", verified=True, evidence=SEEN)
    assert scene.promote().outcome is Outcome.PASSED


def test_a_forced_release_needs_force_and_a_reason():
    scene = Scene()
    wish = forced(scene)
    assert scene.promote(replace(wish, force=True, reason="")).outcome is Outcome.REJECTED
    result = scene.promote(replace(wish, force=True))
    assert result.outcome is Outcome.PASSED
    assert any(check.outcome is Found.WARNED and "forced by ann" in check.message for check in result.checks)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"version": "9.9.9"}, "flights@v9.9.9: unknown version", "there are v1.0.0, v1.1.0"),
        ({"target": "prodution"}, "prodution: unknown environment", "did you mean production?"),
        ({"origin": "nowhere"}, "nowhere: unknown environment", "there are staging, production"),
        ({"actor": "ann\nbob"}, "actor: ", ""),
    ],
)
def test_what_there_is_not_is_bad_input(changes, message, hint):
    scene = Scene()
    with pytest.raises(BadInput, match=message) as raised:
        scene.promote(replace(WISH, **changes))
    assert hint in raised.value.hint
    assert scene.untouched()


def test_a_ledger_that_does_not_answer_moves_nothing():
    scene = Scene()
    scene.ledger.silent = True
    with pytest.raises(Unavailable):
        scene.promote()
    assert not scene.running.moves


@pytest.mark.parametrize("ends", [Outcome.ROLLED_BACK, Outcome.NOT_RESTORED])
def test_a_failed_rollout_is_remembered_as_aborted(ends):
    scene = Scene()
    scene.running.ends = ends
    result = scene.promote()
    assert result.outcome is ends
    event = scene.history.trusted().events[-1]
    assert event.kind is Kind.ABORTED
    assert event.how.startswith(f"{ends}: ")
    assert scene.history.live("production").version == "1.0.0"


def test_a_held_rollout_is_no_event_yet():
    scene = Scene()
    scene.running.ends = Outcome.INCONCLUSIVE
    assert scene.promote().outcome is Outcome.INCONCLUSIVE
    assert len(scene.history.events) == 5
    assert not scene.queue.kept


def test_a_rollout_that_somebody_else_holds_leaves_nothing_behind():
    scene = Scene()
    scene.running.held_by = "bob since 10:00"
    with pytest.raises(Unavailable, match="bob since 10:00 holds a rollout"):
        scene.promote()
    assert scene.untouched()


def test_of_two_at_once_the_slower_one_is_told():
    scene = Scene()
    scene.ledger.register(release("1.2.0", champion="1.0.0"), By("ann"))
    scene.running.during = lambda: scene.ledger.live("1.2.0", "production", actor="bob")
    result = scene.promote()
    assert result.outcome is Outcome.UNAVAILABLE
    assert result.message == "production: somebody else was quicker: flights@v1.2.0"
    assert scene.history.live("production").version == "1.2.0"
    assert not scene.queue.kept


def test_what_the_ledger_did_not_hear_waits_and_is_settled():
    scene = Scene()
    scene.running.during = lambda: setattr(scene.ledger, "silent", True)
    result = scene.promote()
    assert result.outcome is Outcome.PASSED
    assert "not in the ledger yet: origin: does not answer; it waits in the environment" in result.message
    scene.ledger.silent = False
    again = scene.promote()
    assert "already" in again.message
    assert scene.history.live("production").version == "1.1.0"
    assert not scene.queue.kept


@pytest.mark.parametrize(("runs", "kind"), [("1.1.0", Kind.ASSIGNED), ("1.0.0", Kind.ABORTED)])
def test_a_runner_that_vanished_is_settled_by_what_runs(runs, kind):
    scene = Scene()

    def die():
        raise KeyboardInterrupt

    scene.running.during = die
    with pytest.raises(KeyboardInterrupt):
        scene.promote()
    assert len(scene.queue.kept) == 1
    scene.running.live, scene.running.held_by = runs, "ann"
    records = Records(scene.ledger, scene.queue, scene.ledger.clock)
    assert records.settle(scene.running.actual)[0].outcome is Found.SKIPPED
    scene.running.held_by = None
    records.settle(scene.running.actual)
    assert scene.history.events[-1].kind is kind
    assert not scene.queue.kept


def test_a_clock_that_is_behind_is_told():
    scene = Scene()
    scene.ledger.clock.now = datetime(2026, 11, 1, tzinfo=UTC)
    result = scene.promote()
    assert result.outcome is Outcome.PASSED
    assert any(check.name == "clock" and check.outcome is Found.WARNED for check in result.checks)


@pytest.mark.parametrize(("first", "told"), [("1.1.0", [Kind.ASSIGNED]), ("1.2.0", [Kind.ABORTED, Kind.ASSIGNED])])
def test_a_movement_that_took_the_place_of_a_vanished_one_is_told_once(first, told):
    scene = Scene()
    scene.ledger.register(release("1.2.0", champion="1.0.0"), By("ann"))
    before = len(scene.history.events)
    records = Records(scene.ledger, scene.queue, scene.ledger.clock)
    record = scene.history.release(first)
    records.begin(drafted(record, kind=Kind.ASSIGNED, environment="production", actor="ann", how="promoted"))
    scene.running.held_by = "ann since 10:00 (its runner vanished)"
    scene.running.during = lambda: setattr(scene.running, "held_by", None)
    scene.running.resumes = True
    assert scene.promote().outcome is Outcome.PASSED
    assert [event.kind for event in scene.history.events[before:]] == told
    assert not scene.queue.kept


def test_checks_without_stored_files_are_evidence_by_their_digest():
    seen = Check("health", Found.PASSED, "answers")
    passed = Moved(Outcome.PASSED, "", "1.1.0", "1.0.0", checks=[seen])
    (digest,) = evidence_of(passed).values()
    assert len(digest) == 64
    assert evidence_of(Moved(Outcome.PASSED, "", "1.1.0", "1.0.0")) == {}
    draft = drafted(release("1.1.0"), kind=Kind.ASSIGNED, environment="production", actor="ann")
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert how_it_ended(draft, passed, now).verified
    assert not how_it_ended(draft, Moved(Outcome.PASSED, "live already", "1.1.0", None), now).verified
    doubtful = replace(seen, outcome=Found.INCONCLUSIVE)
    assert not how_it_ended(draft, replace(passed, checks=[doubtful]), now).verified


def breaks_off(scene, *, moving):
    """Have the environment fail half-way: with traffic at the candidate, or before."""

    def fails():
        if moving:
            scene.running.live = "1.1.0"
        raise Unavailable("Envoy does not take the new configuration")

    scene.running.during = fails
    with pytest.raises(Unavailable):
        scene.promote()
    scene.running.during = None


def test_what_breaks_off_before_anything_moved_leaves_no_intent():
    scene = Scene()
    breaks_off(scene, moving=False)
    assert not scene.queue.kept


def test_what_breaks_off_with_traffic_is_told_to_the_ledger_by_whoever_reconciles():
    scene = Scene()
    breaks_off(scene, moving=True)
    assert [item.draft.version for item in scene.queue.waiting()] == ["1.1.0"]
    assert scene.history.live("production").version == "1.0.0"
    scene.running.reconcile = lambda _who: Moved(Outcome.PASSED, "live is 1.1.0", "1.1.0", "1.0.0")
    records = Records(scene.ledger, scene.queue, scene.ledger.clock)
    result = keep(scene.running, lambda: records.settle(scene.running.actual), "cron")
    assert result.outcome is Outcome.PASSED
    assert result.message == "live is 1.1.0; event 6 of the ledger (memory)"
    assert scene.history.live("production").version == "1.1.0"
    assert not scene.queue.kept
