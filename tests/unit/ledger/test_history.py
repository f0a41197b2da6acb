"""Histories: what was live when, where to go back to, and whether the chain holds; by example and by property."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.errors import BadInput
from ci.ledger.chain import history_of
from ci.ledger.event import Kind, moment_of
from ci.ledger.history import History
from ci.ledger.interface import By
from tests.releases import SEEN, START, MemoryLedger, git_id, release

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
ENVIRONMENTS = ("staging", "production")
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["live", "unverified", "aborted", "bad", "good", "worse", "well"]),
        st.sampled_from(VERSIONS), st.sampled_from(ENVIRONMENTS),
    ),
    max_size=12,
)  # fmt: skip


def book(deeds=()):
    ledger = MemoryLedger()
    for version in VERSIONS:
        ledger.register(release(version), By("ann"))
    for what, version, environment in deeds:
        do(ledger, what, version, environment)
    return ledger


def do(ledger, what, version, environment):
    if what in {"live", "unverified"}:
        ledger.live(version, environment, verified=what == "live")
    elif what == "aborted":
        ledger.did(Kind.ABORTED, version, environment)
    elif what in {"worse", "well"}:
        ledger.did(Kind.VERIFIED, version, environment, verified=what == "well", evidence=SEEN)
    else:
        ledger.did(Kind(what), version, reason="because")


class Model:
    """The same, told the simple way: one deed after the other."""

    def __init__(self):
        self.stays = {name: [] for name in ENVIRONMENTS}
        self.bad = set()

    def do(self, what, version, environment):
        if what in {"live", "unverified"}:
            self.stays[environment].append([version, what == "live"])
        elif what in {"worse", "well"} and self.stays[environment] and self.stays[environment][-1][0] == version:
            self.stays[environment][-1][1] = what == "well"
        elif what == "bad":
            self.bad.add(version)
        elif what == "good":
            self.bad.discard(version)

    def good(self, environment):
        stays = self.stays[environment]
        found = [v for v, well in stays if stays and v != stays[-1][0] and well and v not in self.bad]
        return found[-1] if found else None


@settings(deadline=None, max_examples=40)
@given(DEEDS)
def test_a_history_agrees_with_the_simple_story_at_every_moment(deeds):
    ledger, model, told = book(), Model(), []
    for what, version, environment in deeds:
        do(ledger, what, version, environment)
        model.do(what, version, environment)
        at = moment_of(ledger.history("flights").events[-1].at)
        live = {name: (stays[-1][0] if stays else None) for name, stays in model.stays.items()}
        told.append((at, live, {name: model.good(name) for name in ENVIRONMENTS}))
    history = ledger.history("flights").trusted()
    for at, live, good in told:
        then = history.at(at)
        assert {name: getattr(then.live(name), "version", None) for name in ENVIRONMENTS} == live
        assert {name: getattr(then.last_known_good(name), "version", None) for name in ENVIRONMENTS} == good
        before = history.at(at - timedelta(microseconds=1))
        assert len(before.events) == len(then.events) - 1


@settings(deadline=None, max_examples=40)
@given(DEEDS)
def test_order_of_reading_does_not_matter_and_time_only_grows(deeds):
    ledger = book(deeds)
    backwards = history_of("flights", reversed(ledger.tags), ledger.head["flights"])
    assert backwards == ledger.history("flights")
    times = [event.at for event in backwards.events]
    assert times == sorted(set(times))


@settings(deadline=None, max_examples=40)
@given(DEEDS, st.data())
def test_whatever_is_done_to_one_tag_is_seen(deeds, data):
    ledger = book(deeds)
    place = data.draw(st.integers(0, len(ledger.tags) - 1))
    how = data.draw(st.sampled_from(["deleted", "moved", "edited", "replaced", "rewritten"]))
    tag = ledger.tags[place]
    if how == "deleted":
        del ledger.tags[place]
    elif how == "moved":
        ledger.tags[place] = replace(tag, commit=git_id("elsewhere"))
    elif how == "edited":
        ledger.tags[place] = replace(tag, message=tag.message.replace('"ann"', '"mallory"'), id=git_id("edited"))
    elif how == "replaced":
        ledger.tags[place] = replace(tag, id=git_id("replaced"))
    else:
        ledger.tags[place] = replace(tag, message=tag.message.replace("\n\n{", "\n\n{ "))
    history = ledger.history("flights")
    assert history.doubts
    with pytest.raises(BadInput, match="ledger of flights: "):
        history.trusted()


def test_a_missing_head_and_a_tag_behind_it_are_seen():
    ledger = book([("live", "1.0.0", "staging")])
    assert "the head is missing" in history_of("flights", ledger.tags, None).doubts[0]
    assert "behind the head" in history_of("flights", ledger.tags, ledger.tags[-2].id).doubts[0]
    assert "missing or was replaced" in history_of("flights", [], git_id("gone")).doubts[0]
    assert history_of("flights", [], None) == History("flights")


def test_a_tag_that_somebody_set_with_gto_is_seen():
    ledger = book()
    ledger.tags.append(replace(ledger.tags[0], name="flights#production#9", message="Assigning stage"))
    assert "flights#production#9: its message is no event" in ledger.history("flights").doubts[0]


def test_the_last_known_good_is_not_the_newest_nor_the_one_that_is_left():
    ledger = book(
        [("live", "1.0.0", "production"), ("unverified", "1.1.0", "production"), ("live", "1.2.0", "production")]
    )
    history = ledger.history("flights")
    assert history.last_known_good("production").version == "1.0.0"
    assert history.last_known_good("production", other_than="1.0.0").version == "1.2.0"
    assert history.last_known_good("staging") is None


def test_what_the_ledger_heard_of_late_was_true_when_it_happened():
    ledger = book()
    ledger.clock.go(hours=5)
    happened = "2026-11-24T11:00:00Z"
    ledger.live("1.0.0", "production", happened=happened)
    then = ledger.history("flights").at(START + timedelta(hours=2))
    assert then.live("production").when == happened


def test_nothing_is_true_before_its_release_was_registered():
    ledger = book()
    born = ledger.history("flights").registered("1.2.0")
    ledger.live("1.2.0", "production", happened="2026-11-24T09:00:00Z")
    history = ledger.history("flights")
    assert history.at(moment_of(born.at) - timedelta(seconds=1)).live("production") is None
    assert history.at(moment_of(born.at)).live("production").version == "1.2.0"


def test_a_clock_that_jumps_back_makes_no_history_run_backwards():
    ledger = book([("live", "1.0.0", "production")])
    ledger.clock.go(days=-30)
    ledger.live("1.1.0", "production")
    history = ledger.history("flights").trusted()
    assert history.live("production").version == "1.1.0"
    assert "s behind the ledger's last event" in history.ahead_of(ledger.clock.now)


def test_a_clock_that_is_a_day_behind_does_not_put_a_move_before_the_one_that_it_followed():
    ledger = book([("live", "1.0.0", "production")])
    first = ledger.history("flights").live("production")
    ledger.live("1.1.0", "production", happened="2026-11-23T10:00:00Z")
    history = ledger.history("flights")
    assert history.at(START - timedelta(hours=2)).live("production") is None
    assert history.at(moment_of(first.at) - timedelta(seconds=1)).live("production") is None
    assert history.at(moment_of(first.at)).live("production").version == "1.1.0"
