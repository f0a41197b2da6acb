"""The quick way may only take what the close look takes, with the same result."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import reading
from serving.problems import Problem
from tests.unit.collector import shop

FORMS = shop.forms()
VALUES = {
    "sold": st.sampled_from(["2014-01-02T03:04:05", "2014-01-02", "2014-01-02T03:04:05+02:00", "2014-01-02T03:04:05.5Z", "x", 3,
                             None, "0001-01-01T00:00:00+01:00", "2014-02-30T00:00:00", "2099-01-01T00:00:00"]),
    "price": st.one_of(st.none(), st.floats(-10, 1010), st.integers(-1, 1001), st.booleans(), st.just("1")),
    "pieces": st.sampled_from([None, 1, 0, 2.0, 2.5, 2**63 - 1, 2**63, -(2**64), True, "1", ...]),
    "gift": st.sampled_from([None, True, False, 0, 1, "true", ...]),
    "kind": st.sampled_from(["food", "Möbel", "Mo\u0308bel", "toys", None, 1, ...]),
    "town": st.sampled_from(["Ulm", "x" * 10, "x" * 11, "e\u0301" * 10, "a\0", "", None, 1.5, ...]),
    "till": st.sampled_from([1, 99, 100, 0, None, "1", 5.0]),
    "card": st.sampled_from(["4711", None, 4711, ...]),
    "note": st.sampled_from(["n", None, 3, ...]),
    "returned": st.sampled_from([True, None, 1, ...]),
    "more": st.sampled_from([..., ..., ..., 1]),
}  # fmt: skip
ROWS = st.fixed_dictionaries(
    {name: st.one_of(st.just(shop.row().get(name, ...)), values) for name, values in VALUES.items()}
)


def body(rows: list[dict[str, Any]]) -> bytes:
    return shop.lines(*[{name: value for name, value in row.items() if value is not ...} for row in rows])


def read(raw: bytes, kind: str = "records", *, lines: bool = True, most: int = 100, longest: int = 10_000):
    return reading.read(raw, FORMS[kind], shop.NOW, lines=lines, most=most, longest=longest)


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3))
def test_quick_and_close_agree(rows):
    raw = body(rows)
    slow = reading.slowly([(part, frozenset()) for part in raw.splitlines()], FORMS["records"], shop.NOW, 10_000)
    quick = (
        reading._quick(raw, FORMS["records"], shop.NOW, lines=True, most=100)
        if raw.isascii() and b"\\u" not in raw
        else None
    )
    if quick is not None:
        assert quick == slow
    assert read(raw) == slow


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["time", "request_id", "row", "probability", "score", "inputs"]),
                       st.sampled_from([..., None, 0, -1, 0.5, "a", "2014-01-01T00:00:00Z", {}, []])))  # fmt: skip
def test_quick_and_close_agree_on_events(changes):
    raw = body([shop.event(1, **changes)])
    slow = reading.slowly([(raw, frozenset())], FORMS["events"], shop.NOW, 10_000)
    quick = reading._quick(raw, FORMS["events"], shop.NOW, lines=True, most=100)
    assert quick in (None, slow)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["known_at", "request_id", "row", "till", "sold", "returned", "returned_days"]),
                       st.sampled_from([..., None, 0, 1, True, "a", "2014-01-01T00:00:00Z", "2014-01-01"])))  # fmt: skip
def test_quick_and_close_agree_on_outcomes(changes):
    raw = body([shop.outcome(1, **changes)])
    slow = reading.slowly([(raw, frozenset())], FORMS["outcomes"], shop.NOW, 10_000)
    quick = reading._quick(raw, FORMS["outcomes"], shop.NOW, lines=True, most=100)
    assert quick in (None, slow)


def test_spellings_of_one_text_are_one_text():
    (one,), (other,) = (read(body([shop.row(1, kind=kind)]))[0] for kind in ("Möbel", "Mo\u0308bel"))
    assert one == other


def test_moments_with_offsets_are_brought_to_utc():
    (one,), (other,) = (
        read(body([shop.row(1, sold=sold)]))[0] for sold in ("2014-01-02T03:04:05+02:00", "2014-01-02T01:04:05")
    )
    assert one == other


def test_one_in_many_costs_only_itself():
    rows = [shop.row(n) for n in range(99)]
    items, refused = read(body([*rows[:50], shop.row(200, price=-1), *rows[50:]]))
    assert len(items) == 99
    assert [one.place for one in refused] == [50]


def test_hidden_values_are_not_kept_with_what_is_refused():
    _, (refused,) = read(body([shop.row(1, price=-1, card="4711", note="secret")]))
    kept = msgspec.json.decode(refused.record)
    assert kept["card"].startswith("hmac:")
    assert "note" not in kept
    _, (broken,) = read(b'{"card": "4711"')
    assert broken.record == b""


def test_a_hash_is_hashed_again_unless_it_is_known():
    (plain,), _ = read(body([shop.row(1, card="4711")]))
    _, (refused,) = read(body([shop.row(1, price=-1, card="4711")]))
    hashed = msgspec.json.decode(refused.record)["card"]
    part = body([shop.row(1, card=hashed)])
    (again,), _ = reading.slowly([(part, frozenset([hashed]))], FORMS["records"], shop.NOW, 10_000)
    (forged,), _ = reading.slowly([(part, frozenset())], FORMS["records"], shop.NOW, 10_000)
    assert again.row == plain.row
    assert forged.row != plain.row


@pytest.mark.parametrize(("raw", "lines", "status"), [
    (b"\xff\xfe\x00", True, 400), (b"{}", False, 400), (b"[1", False, 400), (b"{}\n" * 101, True, 413), (b"[" + b"1," * 100 + b"1]", False, 413),
])  # fmt: skip
def test_bodies_that_cannot_be_cut(raw, lines, status):
    with pytest.raises(Problem) as found:
        read(raw, lines=lines)
    assert found.value.status == status


def test_outcomes_lead_to_record_and_prediction():
    (record,), _ = read(body([shop.row(1)]))
    (event,), _ = read(body([shop.event(1)]), "events")
    (outcome,), _ = read(body([shop.outcome(1)]), "outcomes")
    assert (outcome.key, outcome.address) == (record.key, event.address)
    assert event.happens == record.time
    assert event.due == record.time + 32 * 86_400_000_000


JSONISH = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                       lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(JSONISH, max_size=3).map(lambda found: shop.lines(*found))),
       st.sampled_from(["records", "events", "outcomes"]), st.booleans())  # fmt: skip
def test_nothing_that_arrives_breaks_the_reader(raw, kind, lines):
    try:
        items, refused = read(raw, kind, lines=lines)
    except Problem as problem:
        assert problem.status in {400, 413}  # noqa: PT017
        return
    assert not items
    assert all(one.reasons for one in refused)
    msgspec.json.encode([one.reasons for one in refused])
