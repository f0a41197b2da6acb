"""Both stores of the collection service keep one contract."""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from collector.compact import Rows, compact
from collector.errors import Full
from collector.store.interface import Batch, Reason, Refused
from collector.store.opening import opened
from collector.store.sqlite import SqliteStore
from collector.writer import Writer
from tests.contract.stores import ALWAYS, FORMS, add, items, look, tally
from tests.unit.collector import shop
from tests.unit.collector.shop import event, outcome, row

if TYPE_CHECKING:
    from collections.abc import Callable


def test_records_are_kept_once(store):
    assert tally(add(store, "records", *[row(n) for n in range(1234)])) == (1234, 0, 0, 0)
    assert tally(add(store, "records", *[row(n) for n in range(1200, 1300)])) == (66, 34, 0, 0)
    assert look(store, "counts")["records"] == 1300
    assert sum(day.rows for day in look(store, "days")) == 1300


def test_rows_come_in_order_whatever_the_order_in_which_they_came(store):
    for n in random.Random(3).sample(range(60), 60):
        add(store, "records", row(n))
    times = [found.time for found in look(store, "rows", *ALWAYS)]
    assert times == sorted(times)
    assert len(times) == 60


def test_restatements_are_versions(store):
    add(store, "records", row(1), row(2))
    before = look(store, "days")[0].version
    answer = add(store, "records", row(1, price=2), row(1, price=3), row(4), row(4, price=9))
    assert tally(answer) == (1, 0, 3, 0)
    assert [(fate.place, fate.outcome) for fate in answer.results] == [
        (0, "restated"),
        (1, "restated"),
        (3, "restated"),
    ]
    past = look(store, "past", 0, 10)
    assert [one.version for one in past] == [1, 2, 1]
    assert look(store, "days")[0].version > before
    spread = Rows(shop.contract(), look(store, "shapes"))
    assert [spread.values(found)[1] for found in look(store, "rows", *ALWAYS)] == [3.0, 2.5, 9.0]


def test_outcomes_wait_join_and_are_restated(store):
    named = {"request_id": ..., "row": ...}
    assert tally(add(store, "outcomes", outcome(1, **named), outcome(2, **named))) == (2, 0, 0, 0)
    assert look(store, "counts")["waiting"] == 2
    add(store, "records", row(1))
    assert look(store, "counts")["waiting"] == 1
    known = [msgspec.msgpack.decode(found.known) for found in look(store, "rows", *ALWAYS)]
    assert known == [{"returned": False}]
    later = outcome(1, returned=True, returned_days=3, known_at="2014-04-01T00:00:00", **named)
    assert tally(add(store, "outcomes", later, outcome(2, **named))) == (0, 1, 1, 0)
    assert tally(add(store, "outcomes", outcome(1, **named))) == (0, 1, 0, 0)  # an older word, known already
    known = [msgspec.msgpack.decode(found.known) for found in look(store, "rows", *ALWAYS)]
    assert known == [{"returned": True, "returned_days": 3}]
    counts = look(store, "counts")
    assert (counts["records"], counts["outcomes"], counts["waiting"]) == (1, 2, 1)


def test_more_of_an_outcome_is_no_restatement(store):
    named = {"request_id": ..., "row": ...}
    add(store, "outcomes", outcome(1, returned=..., returned_days=3, **named))
    assert tally(add(store, "outcomes", outcome(1, **named))) == (1, 0, 0, 0)


def test_predictions_join_in_either_order(store):
    unkeyed = {"till": ..., "sold": ...}
    add(store, "outcomes", outcome(1, **unkeyed))
    add(store, "events", event(1), event(2), event(2), event(1, release="shop@2.0.0"))
    add(store, "outcomes", outcome(2, **unkeyed))
    found = look(store, "joined", 0, 10, ALWAYS, None)
    assert [(one.release, msgspec.msgpack.decode(one.body)[0]) for one in found] == [
        ("shop@1.0.0", "ask-1"), ("shop@2.0.0", "ask-1"), ("shop@1.0.0", "ask-2")
    ]  # fmt: skip
    assert [one.id for one in look(store, "joined", found[0].id, 10, ALWAYS, "shop@1.0.0")] == [found[2].id]
    labels = {(one.release, one.predictions, one.labelled, one.expired) for one in look(store, "labels", ALWAYS)}
    assert labels == {("shop@1.0.0", 2, 2, 0), ("shop@2.0.0", 1, 1, 0)}
    assert look(store, "counts")["waiting"] == 0


def test_a_restated_label_is_joined_anew(store):
    unkeyed = {"till": ..., "sold": ...}
    add(store, "events", event(1))
    add(store, "outcomes", outcome(1, **unkeyed))
    (first,) = look(store, "joined", 0, 10, ALWAYS, None)
    add(store, "outcomes", outcome(1, returned=True, known_at="2014-01-20T00:00:00", **unkeyed))
    (again,) = look(store, "joined", first.id, 10, ALWAYS, None)
    assert msgspec.msgpack.decode(again.known) == {"returned": True}
    assert len(look(store, "joined", 0, 10, ALWAYS, None)) == 1


def test_a_restated_prediction_keeps_its_past(store):
    add(store, "events", event(1))
    assert tally(add(store, "events", event(1), event(1, probability=0.5))) == (0, 1, 1, 0)
    assert look(store, "counts")["predictions"] == 1
    assert [one.kind for one in look(store, "past", 0, 10)] == ["events"]


def test_the_quarantine_keeps_once_and_lets_go(store):
    refused = [Refused(0, [Reason("price", "is \0 odd")], b'{"price": -1}'), Refused(1, [Reason(None, "x")], b"\xff\0")]
    answer = add(store, "records", refused=refused)
    assert tally(answer) == (0, 0, 0, 2)
    again = add(store, "records", refused=refused[:1])
    assert again.results[0].quarantine == answer.results[0].quarantine
    kept = look(store, "quarantine", 0, 10)
    assert [bytes(one.record) for one in kept] == [b'{"price": -1}', b"\xff\0"]
    add(store, "records", row(1), replayed={0: kept[0].id})
    assert look(store, "counts")["quarantined"] == 1
    gone: list[bool] = []
    store.write(lambda session: gone.extend([session.forget("shop", kept[1].id), session.forget("shop", kept[1].id)]))
    assert gone == [True, False]
    assert look(store, "counts")["quarantined"] == 0


def test_a_failed_transaction_leaves_nothing(store):
    def work(session: Any) -> None:
        shape = session.shape("new", ["a"])
        session.add(Batch("new", "records", shape, "tests", 0, "returned", items("records", [row(1)])), 10)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        store.write(work)
    assert look(store, "days") == []
    assert tally(add(store, "records", row(1), project="new")) == (1, 0, 0, 0)


def test_projects_are_apart(store):
    add(store, "records", row(1))
    assert tally(add(store, "records", row(1), project="other")) == (1, 0, 0, 0)
    assert look(store, "counts")["records"] == 1


def test_a_period_is_compacted_to_the_same_digest_in_any_order(address, tmp_path):
    contract, digests = shop.contract(), []
    store = opened(address)
    try:
        for project, order in (("shop", range(200)), ("store", random.Random(4).sample(range(200), 200))):
            for n in order:
                add(store, "records", row(n), project=project)
            found = compact(store, msgspec.structs.replace(contract, project=project), "2014-01", tmp_path / project)
            assert (found.rows, found.labelled) == (200, 0)
            digests.append(found.digest)
    finally:
        store.close()
    assert digests[0] == digests[1]


def test_a_store_is_found_again_with_what_it_holds(address):
    one = opened(address)
    add(one, "records", row(1))
    one.close()
    other = opened(address)
    assert other.identity == one.identity
    assert tally(add(other, "records", row(1), row(2))) == (1, 1, 0, 0)
    other.close()


def test_two_instances_know_each_others_contracts(address):
    """During a rolling change both run: each meets rows of columns in an order that it never wrote itself."""
    older, newer = opened(address), opened(address)
    for turn, n in enumerate((1, 2), 1):  # the second order comes when the older one thinks that it knows them all
        newer.write(partial(add_turned, turn, row(n)))
        assert tally(add(older, "records", row(n), row(n, price=8))) == (0, 1, 1, 0)
    older.close()
    newer.close()


def add_turned(turn: int, document: dict[str, Any], session: Any) -> None:
    """Add a record as a contract with the same columns in another order would."""
    (item,), columns = items("records", [document]), FORMS["records"].columns
    values = msgspec.msgpack.decode(item.row)
    moved = item._replace(row=msgspec.msgpack.encode(values[turn:] + values[:turn]))
    shape = session.shape("shop", [*columns[turn:], *columns[:turn]])
    session.add(Batch("shop", "records", shape, "tests", shop.NOW, "returned", [moved]), 1000)


def test_a_look_sees_one_state_while_others_write(store):
    add(store, "records", *[row(n) for n in range(100)])

    def work(view: Any) -> tuple[int, int]:
        before = view.counts("shop")["records"]
        writing = threading.Thread(target=add, args=(store, "records", row(500)))
        writing.start()
        writing.join(20)
        return before, len(list(view.rows("shop", *ALWAYS)))

    assert store.read(work) == (100, 100)
    assert look(store, "counts")["records"] == 101


def test_many_deliveries_share_commits(store):
    writer = Writer(store, 100_000)
    asked: list[Any] = []
    shape: Callable[[Any], int] = lambda session: session.shape("shop", FORMS["records"].columns)  # noqa: E731
    number = writer.ask(shape, 0).result(20)
    for n in range(60):
        found = Batch("shop", "records", number, "tests", shop.NOW, "returned", items("records", [row(n)]))
        asked.append(writer.ask(lambda session, found=found: session.add(found, 10), 1))
    assert all(future.result(30).accepted == 1 for future in asked)
    assert writer.commits < 60
    writer.close(10)
    assert look(store, "counts")["records"] == 60


def test_days_are_those_of_what_was_predicted(store):
    add(store, "events", event(1, time="2014-05-01T10:00:00+00:00"), event(50, time="2014-05-01T10:00:00+00:00"))
    assert [one.day - 16071 for one in look(store, "labels", ALWAYS)] == [0, 1]  # the first and second of January
    bounds = (16072 * 86_400_000_000, 10**17)
    assert [one.day - 16071 for one in look(store, "labels", bounds)] == [1]
    before = {"inputs": {**event(1)["inputs"], "sold": "1969-12-31T23:00:00"}}
    add(store, "events", event(3, **before))
    assert look(store, "labels", ALWAYS)[0].day == -1


def test_a_full_disk_keeps_what_was_there_and_nothing_of_what_came(tmp_path):
    store = SqliteStore(tmp_path / "store.db")
    add(store, "records", row(1))
    store._open().execute("PRAGMA max_page_count = 120")
    with pytest.raises(Full):
        add(store, "records", *[row(n) for n in range(5000)])
    assert look(store, "counts")["records"] == 1
    store._open()
    assert tally(add(store, "records", *[row(n) for n in range(5000)])) == (4999, 1, 0, 0)
    store.close()
