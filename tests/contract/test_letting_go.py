"""What either store lets go, and what it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from collector import moments
from collector.store.interface import Reason, Refused, Removed, Until
from tests.contract.stores import ALWAYS, add, look, tally
from tests.unit.collector import shop
from tests.unit.collector.shop import event, outcome, row

if TYPE_CHECKING:
    from collector.store.interface import Store

DAY = moments.DAY_US
JANUARY = moments.bounds("2014-01")
FEBRUARY = 1212  # rows are 37 minutes apart, so that this one is of the next month
ALL_OLD = Until(10**18, 10**18, 10**18)


def version(store: Store) -> int:
    return sum(day.version for day in look(store, "days") if day.day * DAY < JANUARY[1])


def removed(store: Store, known: int | None = None) -> bool:
    period = Removed("2014-01", *JANUARY, "d" * 64, 3, 1, None, version(store) if known is None else known, shop.NOW)
    answers: list[bool] = []
    store.write(lambda session: answers.append(session.remove("shop", period)))
    return answers[0]


def tidied(store: Store, until: Until = Until(), most: int = 1000) -> int:  # noqa: B008 # a frozen value: nobody can change the default
    answers: list[int] = []
    store.write(lambda session: answers.append(session.tidy("shop", until, most)))
    return answers[0]


def filled(store: Store) -> None:
    add(store, "records", row(1), row(2), row(3), row(FEBRUARY))
    add(store, "records", row(1, price=9))
    for n in (1, FEBRUARY):
        add(store, "outcomes", outcome(n, request_id=..., row=...))
    add(store, "outcomes", outcome(1, returned=True, known_at="2014-04-01T00:00:00", request_id=..., row=...))


def test_nothing_goes_by_itself(store: Store) -> None:
    filled(store)
    add(store, "events", event(1), event(2))
    add(store, "records", refused=[Refused(0, [Reason("price", "is odd")], b"{}")])
    assert tidied(store) == 0
    assert len(look(store, "rows", *ALWAYS)) == 4


def test_a_removed_period_takes_its_outcomes_and_versions_along_and_nothing_else(store: Store) -> None:
    filled(store)
    add(store, "records", row(1), project="other")
    assert removed(store)
    assert [one.digest for one in look(store, "removed")] == ["d" * 64]
    parts = [tidied(store, most=2) for _ in range(3)]
    assert parts == [2, 1, 0], "a part at a time"
    (left,) = look(store, "rows", *ALWAYS)
    assert msgspec.msgpack.decode(left.known) == {"returned": True}
    assert look(store, "past", 0, 10) == []
    counts = look(store, "counts")
    assert (counts["records"], counts["removed_records"], counts["waiting"]) == (4, 3, 0)
    assert sum(day.rows for day in look(store, "days")) == 4, "the past is not taken for something that never was"
    assert store.read(lambda view: view.counts("other"))["removed_records"] == 0


def test_a_period_that_changed_since_it_was_described_stays(store: Store) -> None:
    filled(store)
    before = version(store)
    add(store, "records", row(4))
    assert not removed(store, before)
    assert tidied(store) == 0
    assert look(store, "removed") == []


def test_removing_twice_is_removing_once(store: Store) -> None:
    filled(store)
    assert removed(store)
    assert removed(store)
    assert len(look(store, "removed")) == 1


def test_rows_that_come_after_their_period_went_are_refused_and_can_be_read(store: Store) -> None:
    filled(store)
    removed(store)
    tidied(store)
    answer = add(store, "records", row(FEBRUARY + 1), row(2), row(5, card="hidden"))
    assert tally(answer) == (1, 0, 0, 2)
    assert [(fate.place, fate.outcome) for fate in answer.results] == [(1, "rejected"), (2, "rejected")]
    assert answer.results[0].reasons[0].reason == "comes too late: 2014-01 was published and removed here"
    again, hidden = (msgspec.json.decode(bytes(one.record)) for one in look(store, "quarantine", 0, 10))
    assert (again["sold"], again["till"], again["note"]) == (row(2)["sold"], row(2)["till"], None)
    assert hidden["card"].startswith("hmac:")
    assert tidied(store) == 0
    assert look(store, "counts")["records"] == 5


@pytest.mark.parametrize("most", [1, 1000])
def test_predictions_go_with_their_outcomes_once_they_are_old(store: Store, most: int) -> None:
    unkeyed: dict[str, Any] = {"till": ..., "sold": ...}
    add(store, "events", event(1), event(2), event(2, release="shop@2.0.0"), event(FEBRUARY), received=100)
    add(store, "events", event(3), event(2, release="shop@3.0.0"), received=900)
    add(store, "events", event(1, probability=0.5), received=100)
    for n in (1, 2, 77, FEBRUARY):
        add(store, "outcomes", outcome(n, **unkeyed), received=100)
    until = Until(happened=JANUARY[1], received=500)
    while tidied(store, until, most):
        pass
    kept = {(one.release, msgspec.msgpack.decode(one.body)[0]) for one in look(store, "joined", 0, 10, ALWAYS, None)}
    assert kept == {("shop@3.0.0", "ask-2"), ("shop@1.0.0", f"ask-{FEBRUARY}")}
    counts = look(store, "counts")
    assert (counts["predictions"], counts["removed_predictions"], counts["waiting"]) == (6, 3, 0)
    assert sum(one.predictions for one in look(store, "labels", ALWAYS)) == 3
    assert look(store, "past", 0, 10) == []


def test_outcomes_of_records_are_no_business_of_predictions(store: Store) -> None:
    add(store, "records", row(1))
    add(store, "outcomes", outcome(1), received=100)
    while tidied(store, ALL_OLD):
        pass
    assert [msgspec.msgpack.decode(one.known) for one in look(store, "rows", *ALWAYS)] == [{"returned": False}]


def test_what_nobody_corrected_goes_by_age(store: Store) -> None:
    for received in (100, 900):
        add(store, "records", refused=[Refused(0, [Reason("price", "is odd")], b"%d" % received)], received=received)
    assert tidied(store, Until(refused=500)) == 1
    assert [one.received for one in look(store, "quarantine", 0, 10)] == [900]
    counts = look(store, "counts")
    assert (counts["quarantined"], counts["removed_quarantined"]) == (1, 1)
