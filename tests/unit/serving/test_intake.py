from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import signature
from serving.encoded import ColumnEncoder, Encoded, Row, stack
from serving.intake import Intake
from serving.problems import Faults, Problem
from tests.unit.serving import bundles

SIGNATURE = signature.parse(json.dumps(bundles.signature()).encode())
INTAKE = Intake(ColumnEncoder(SIGNATURE), 1000)
ROW = bundles.ROW


def read(document: Any) -> Encoded:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    found = INTAKE.row(raw) or INTAKE.read(raw)
    return stack([found], SIGNATURE.graph) if isinstance(found, Row) else found


def problem(document: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(document)
    return caught.value


def same(one: Encoded, other: Encoded) -> None:
    assert one.n_rows == other.n_rows
    assert one.feeds.keys() == other.feeds.keys()
    for name, array in one.feeds.items():
        np.testing.assert_array_equal(array, other.feeds[name])
        assert array.dtype == other.feeds[name].dtype


def test_all_shapes_give_the_same_rows():
    records = bundles.rows(30)
    columns = {name: [row[name] for row in records] for name in records[0]}
    wanted = Encoded(30, bundles.feeds(records))
    same(read({"records": records}), wanted)
    same(read({"columns": columns}), wanted)
    for index, record in enumerate(records):
        same(read(record), Encoded(1, {name: array[index : index + 1] for name, array in wanted.feeds.items()}))


def test_texts_reach_the_graph_in_nfc():
    decomposed = {**ROW, "carrier": "Mu\u0308nchen Air"}
    assert read(decomposed).feeds["texts"][0, 0] == "München Air"
    assert read({"records": [decomposed] * 2}).feeds["texts"][1, 0] == "München Air"


def test_an_offset_is_brought_to_utc():
    zoned = {**ROW, "scheduled_departure": "2013-01-01T05:15:00+02:00"}
    assert read(zoned).feeds["times"][0, 0] == read(ROW).feeds["times"][0, 0] - 7200


FAULTS = [
    ({"temp": "warm"}, "type", "temp"),
    ({"temp": True}, "type", "temp"),
    ({"temp": [1]}, "type", "temp"),
    ({"temp": 1000}, "range", "temp"),
    ({"distance": None}, "null", "distance"),
    ({"distance": 1.5}, "type", "distance"),
    ({"distance": -1}, "range", "distance"),
    ({"distance": 10**30}, "range", "distance"),
    ({"waterfront": 1}, "type", "waterfront"),
    ({"waterfront": "true"}, "type", "waterfront"),
    ({"origin": "XXX"}, "category", "origin"),
    ({"origin": ""}, "category", "origin"),
    ({"origin": None}, "null", "origin"),
    ({"origin": 5}, "type", "origin"),
    ({"carrier": "x" * 21}, "length", "carrier"),
    ({"carrier": "U\0A"}, "text", "carrier"),
    ({"scheduled_departure": None}, "null", "scheduled_departure"),
    ({"scheduled_departure": 1357017300}, "type", "scheduled_departure"),
    ({"scheduled_departure": "yesterday"}, "time", "scheduled_departure"),
    ({"scheduled_departure": "2013-02-30T00:00:00"}, "time", "scheduled_departure"),
    ({"scheduled_departure": "0001-01-01T00:00:00+14:00"}, "time", "scheduled_departure"),
    ({"gate": "B7"}, "field", None),
]


@pytest.mark.parametrize(("change", "code", "field"), FAULTS)
@pytest.mark.parametrize("shape", ["bare", "records", "columns"])
def test_a_fault_is_named_with_row_and_field(change, code, field, shape):
    bad = {**ROW, **change}
    batch = [ROW, ROW, bad]
    if shape == "columns":
        names = list(bad)
        document = {"columns": {name: [row.get(name, 0) for row in batch] for name in names}}
    else:
        document = bad if shape == "bare" else {"records": batch}
    found = problem(document)
    assert found.status == 422
    first = found.errors[0]
    assert (first.code, first.field) == (code, field)
    row = {"bare": 0, "records": 2, "columns": None if field is None else 2}[shape]
    assert first.row == row


def test_missing_fields_are_named():
    found = problem({"records": [ROW, {"carrier": "UA"}]})
    assert {error.field for error in found.errors} == ROW.keys() - {"carrier"}
    assert {(error.row, error.code) for error in found.errors} == {(1, "missing")}


def test_infinity_by_way_of_a_huge_number_is_named():
    raw = json.dumps({"records": [ROW, ROW]}).replace("39.02", "1e400", 1).encode()
    first = problem(raw).errors[0]
    assert (first.row, first.field, first.message) == (0, "temp", "must be finite")


def test_a_number_of_thousands_of_digits_is_named():
    found = problem(json.dumps({"records": [ROW]}).replace("1400", "9" * 5000).encode())
    assert found.status == 422
    assert (found.errors[0].row, found.errors[0].code) == (0, "range")


def test_a_thousand_faults_are_counted_and_a_hundred_listed():
    found = problem({"records": [{**ROW, "temp": "x"}] * 1000})
    assert (len(found.errors), found.more) == (100, 900)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"  ", 400),
        (b"{", 400),
        (b'{"a": NaN}', 400),
        (b'{"a": Infinity}', 400),
        (b"\xff\xfe", 400),
        (b'{"carrier": "\xff"}', 400),
        (b'{"carrier": "\\ud800"}', 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"{} trailing", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"3", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"records": []}', 422),
        (b'{"records": {}}', 422),
        (b'{"records": null}', 422),
        (b'{"records": [[]]}', 422),
        (b'{"records": [null, 1]}', 422),
        (b'{"columns": {}}', 422),
        (b'{"columns": {"carrier": []}}', 422),
        (b'{"columns": {"carrier": "UA"}}', 422),
        (b'{"columns": []}', 422),
        (b'{"records": [], "columns": {}}', 422),
        (b'{"records": [' + b",".join([b"{}"] * 1001) + b"]}", 413),
    ],
)
def test_bodies_that_are_no_batch(raw, status):
    assert problem(raw).status == status


def test_columns_must_be_of_one_length():
    columns = {name: [value] * 2 for name, value in ROW.items()} | {"temp": [1.0]}
    found = problem({"columns": columns})
    assert [(error.field, error.code) for error in found.errors] == [("temp", "length")]


def test_a_batch_field_name_may_also_be_a_feature():
    inputs = [{**bundles.INPUTS[0], "name": "records"}, {**bundles.INPUTS[3], "name": "columns"}]
    document = bundles.signature(inputs=inputs) | {"graph": {"texts": ["records", "columns"]}}
    intake = Intake(ColumnEncoder(signature.parse(json.dumps(document).encode())), 10)
    body = json.dumps({"records": "UA", "columns": "JFK"}).encode()
    assert intake.row(body) == Row((), ("UA", "JFK"), ())
    many = intake.read(b'{"records": [' + body + b"," + body + b"]}")
    assert many.n_rows == 2


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-5, 11000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-70, 140),
    st.text(max_size=25),
    st.sampled_from([*bundles.CARRIERS, *bundles.ORIGINS, "", "M\u0075\u0308nchen Air", "\u0958" * 11]),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["2013-01-01", "2013-01-01T05:15", "2013-01-01 05:15:00Z", "2013-01-01T23:59:59.9999999", "2013"]),
    st.lists(st.integers(), max_size=2),
)
NEARLY = st.fixed_dictionaries(
    {name: st.one_of(st.just(value), st.just(value), st.just(value), VALUES) for name, value in ROW.items()},
)


@settings(max_examples=200, deadline=None)
@given(NEARLY)
def test_the_quick_reader_takes_only_what_the_close_one_takes(record):
    body = msgspec.json.encode(record)
    values = {name: [value] for name, value in msgspec.json.decode(body).items()}
    quick = INTAKE.row(body)
    try:
        close = INTAKE.encoder.encode(values, 1, Faults())
    except Problem:
        assert quick is None
        return
    if quick is not None:
        same(stack([quick], SIGNATURE.graph), close)
    same(read(body), close)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    )
)
def test_any_document_is_a_problem_or_rows(document):
    for body in (document, {"records": document}, {"columns": document}, {"records": [document]}):
        status = 200
        try:
            read(msgspec.json.encode(body))
        except Problem as found:
            status = json.loads(found.body("id"))["status"]
        assert 200 <= status < 500
