"""The quick way for one row of tensors takes nothing that the close look would refuse, and reads it alike."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import tensors
from serving.encoded import Encoded, Row, stack
from serving.problems import Faults, Problem
from tests.unit.serving import bundles

KINDS = {"number": "FP32", "integer": "INT64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}
DATATYPES = [*tensors._DTYPES, "BYTES", "bytes", ""]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 1400, 39.02, 130.1, 130.10001, 1e400, -60, 16777217, 3.0]),
    st.sampled_from(["UA", "JFK", "ÅÅ", "A\u030a", "\0", "", "x" * 21, "2013-01-01T05:15:00Z", "2013-01-01", "0001-01-01T00:00:00+14:00"]),
    st.text(max_size=5), st.just([1]), st.just({}),
)  # fmt: skip


def request(row: dict[str, Any] = bundles.ROW) -> dict[str, Any]:
    inputs = [
        {"name": spec["name"], "shape": [1], "datatype": KINDS[spec["type"]], "data": [row[spec["name"]]]}
        for spec in bundles.INPUTS
    ]
    return {"inputs": inputs}


def closely(model, body: bytes) -> Encoded | None:
    try:
        asked, tail = tensors.parse(body, -1)
        values, n_rows = tensors.columns(asked, tail, model.signature, 1000)
        return model.encoder.encode(values, n_rows, Faults())
    except Problem:
        return None


def agree(model, body: bytes) -> bool:
    """Whether the quick way took it; what it took must come out of the close look the same."""
    quick = model.tensors.row(body)
    if quick is None:
        return False
    close = closely(model, body)
    assert close is not None, body
    assert isinstance(quick[1], Row)
    for name, array in stack([quick[1]], model.signature.graph).feeds.items():
        np.testing.assert_array_equal(array, close.feeds[name])
    return True


@pytest.mark.parametrize("n", range(30))
def test_plain_rows_go_the_quick_way(model, n):
    document = request(bundles.rows(30, seed=3)[n])
    assert agree(model, json.dumps(document).encode())
    document["inputs"].reverse()
    assert agree(model, json.dumps(document | {"id": "x", "parameters": {"binary_data_output": True}}).encode())


@settings(max_examples=400, deadline=None)
@given(place=st.integers(0, 5), value=VALUES, datatype=st.sampled_from(DATATYPES), keep=st.booleans())
def test_one_odd_value(model, place, value, datatype, keep):
    document = request()
    document["inputs"][place]["data"] = [value]
    if not keep:
        document["inputs"][place]["datatype"] = datatype
    agree(model, json.dumps(document).replace("Infinity", "1e400").encode())


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2]}, {"shape": []}, {"shape": [1, 1, 1]}, {"shape": [1, 2]}, {"shape": [True]}, {"shape": [1.0]}, {"data": []},
        {"data": [[1400]]}, {"data": [1, 2]}, {"data": None}, {"name": "origin"}, {"name": "nobody"},
        {"parameters": {"binary_data_size": 8}},
    ],
)  # fmt: skip
def test_another_form_is_left_to_the_close_look(model, change):
    document = request()
    document["inputs"][1] |= change
    assert not agree(model, json.dumps(document).encode())


def test_a_name_that_appears_twice_is_left_to_the_close_look(model):
    document = request()
    document["inputs"][0] = document["inputs"][3]
    assert model.tensors.row(json.dumps(document).encode()) is None


def test_wishes_for_outputs_are_left_to_the_close_look(model):
    document = request() | {"outputs": [{"name": "nobody"}]}
    assert model.tensors.row(json.dumps(document).encode()) is None
