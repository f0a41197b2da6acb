"""What is to be delivered, and how a build is described."""

from __future__ import annotations

import pytest

from ci.delivery import LONGEST, Bundled, changed, described, every
from ci.ledger.event import Kind
from ci.ledger.interface import By
from tests.releases import MemoryLedger, bundle, release

SAME = lambda commit, sources: True  # noqa: E731
FIRST = bundle("1.0.0")


def ledger(*, live=False, **event):
    made = MemoryLedger()
    made.register(release("1.0.0"), By("ann"))
    if live:
        made.live("1.0.0", "staging")
    if event:
        made.did(Kind.ABORTED, "1.0.0", "staging", **event)
    return made


def names(made, digest=FIRST, first="staging", same=SAME):
    return changed([Bundled("flights", digest, made.history("flights"))], first, same).data["projects"]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (MemoryLedger(), "was never released"),
        (ledger(), "was never live in staging"),
        (ledger(how="its runner vanished; settled"), "was never live in staging"),
    ],
)
def test_what_was_not_delivered_to_the_end_is_named_with_the_reason(made, why):
    result = changed([Bundled("flights", bundle("1.0.0"), made.history("flights"))], "staging", SAME)
    assert result.data["projects"] == ["flights"]
    assert why in result.checks[0].message


def test_another_bundle_is_named_and_the_released_one_is_not():
    assert names(ledger(live=True)) == []
    assert names(ledger(live=True), digest=bundle("1.1.0")) == ["flights"]


def test_what_shipped_and_failed_is_not_shipped_again_by_the_next_commit():
    assert names(ledger(how="rolled back: too slow")) == []
    assert names(ledger(how="not restored: nobody knows")) == []


def test_what_was_marked_bad_is_not_shipped():
    made = ledger()
    made.did(Kind.BAD, "1.0.0", reason="leaks")
    assert names(made) == []


def test_a_new_server_is_a_reason_and_so_is_a_commit_that_nobody_knows():
    assert names(ledger(live=True), same=lambda commit, sources: False) == ["flights"]


def test_each_is_held_against_its_own_sources():
    history = ledger(live=True).history("flights")
    two = [Bundled("flights", FIRST, history, ("serving",)), Bundled("collector", FIRST, history, ("lock",))]
    assert changed(two, "staging", lambda commit, sources: sources != ("lock",)).data["projects"] == ["collector"]


def test_a_service_is_described_without_data():
    package = REPORTS["package"] | {"finished": "1"}
    assert described({"collector": {"package": package}}, {}) == "collector v1.4.0, package passed"


def test_without_environments_a_release_is_the_end():
    assert names(ledger(), first=None) == []


def test_nothing_is_said_in_these_words_and_all_means_all():
    history = ledger(live=True).history("flights")
    assert changed([Bundled("flights", bundle("1.0.0"), history)], "staging", SAME).message == "nothing to release"
    assert every(["a", "b"]).data["projects"] == ["a", "b"]


REPORTS = {
    "artifact": {"data": {"version": "d" * 64}},
    "gate": {"step": "gate", "outcome": "passed", "finished": "1", "data": {"challenger": "b" * 64}},
    "package": {"step": "package", "outcome": "passed", "finished": "2",
                "data": {"release": {"version": "1.4.0", "data_version": "e" * 64}}},
    "promote": {"step": "promote", "outcome": "inconclusive", "finished": "3", "facts": {"into": "staging"}},
}  # fmt: skip


def kept(*steps):
    return {"flights": {step: REPORTS[step] for step in steps}}


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (("artifact", "gate"), "flights bundle bbbbbbbbbbbb, data dddddddddddd, gate passed"),
        (("gate", "package"), "flights v1.4.0, data eeeeeeeeeeee, package passed"),
        (tuple(REPORTS), "flights v1.4.0, data eeeeeeeeeeee, promote inconclusive, staging"),
    ],
)
def test_a_build_is_described_by_what_it_got_to(steps, line):
    assert described(kept(*steps), {}) == line


def test_a_rollback_says_where_it_went():
    report = {"step": "rollback", "outcome": "passed", "facts": {"in": "production", "to": "flights@v1.3.0"}}
    assert described({"flights": {"rollback": report}}, {}) == "flights v1.3.0, rollback passed, production"


@pytest.mark.parametrize(
    ("about_all", "line"),
    [
        ({}, "no reports"),
        ({"changed": {"outcome": "passed", "message": "nothing to release"}}, "nothing to release"),
        ({"repro": {"outcome": "rejected", "message": "flights: late"}}, "repro rejected: flights: late"),
    ],
)
def test_without_projects_the_build_says_why(about_all, line):
    assert described({"flights": {}}, about_all) == line


def test_a_description_is_one_short_line_whatever_is_in_the_reports():
    line = described({}, {"repro": {"outcome": "bad input", "message": "a\nb\x1b[31m" + "x" * 1000}})
    assert len(line) == LONGEST
    assert line.isprintable()


def test_reports_of_another_shape_are_no_error():
    assert described({"flights": {"gate": {"data": "x", "facts": None}}}, {"changed": {}}).startswith("flights")
