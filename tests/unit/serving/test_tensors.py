from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from serving import tensors
from serving.encoded import Encoded
from serving.problems import Faults, Problem
from tests.unit.serving import bundles
from tests.unit.serving.test_intake import INTAKE, SIGNATURE, same


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data, **more}


def request(records: list[dict[str, Any]]) -> dict[str, Any]:
    specs = {spec.name: spec for spec in SIGNATURE.inputs}
    return {"inputs": [tensor(name, tensors.datatype(specs[name]), [r[name] for r in records]) for name in specs]}


def read(document: dict[str, Any], tail: bytes = b"") -> Encoded:
    head = json.dumps(document).encode()
    parsed, rest = tensors.parse(head + tail, len(head) if tail else -1)
    values, n_rows = tensors.columns(parsed, rest, SIGNATURE, 1000)
    return INTAKE.encoder.encode(values, n_rows, Faults())


def problem(document: dict[str, Any], tail: bytes = b"") -> Problem:
    with pytest.raises(Problem) as caught:
        read(document, tail)
    return caught.value


def binary(document: dict[str, Any], name: str, datatype: str, raw: bytes) -> dict[str, Any]:
    for item in document["inputs"]:
        if item["name"] == name:
            del item["data"]
            item.update(datatype=datatype, parameters={"binary_data_size": len(raw)})
    return document


def spell(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def test_json_tensors_are_rows():
    records = bundles.rows(20)
    wanted = Encoded(20, bundles.feeds(records))
    found = read(request(records))
    same(found, wanted)


def test_column_vectors_flat_and_nested():
    records = bundles.rows(3)
    flat, nested = request(records), request(records)
    for item in flat["inputs"]:
        item["shape"] = [3, 1]
    for item in nested["inputs"]:
        item.update(shape=[3, 1], data=[[value] for value in item["data"]])
    same(read(flat), read(nested))


def test_binary_data_follows_in_order():
    records = bundles.rows(4, seed=5)
    for record in records:
        record["carrier"] = record["carrier"] or ""
    document = request(records)
    departures = bundles.feeds(records)["times"][:, 0]
    temp = bundles.feeds(records)["numbers"][:, 1]
    parts = {
        "carrier": ("BYTES", spell(*(record["carrier"].encode() for record in records))),
        "distance": ("INT64", np.array([record["distance"] for record in records], "<i8").tobytes()),
        "temp": ("FP32", temp.tobytes()),
        "waterfront": ("BOOL", np.array([record["waterfront"] for record in records]).tobytes()),
        "scheduled_departure": ("INT64", departures.astype("<i8").tobytes()),
    }
    for name, (kind, raw) in parts.items():
        binary(document, name, kind, raw)
    same(read(document, b"".join(raw for _, raw in parts.values())), read(request(records)))


@pytest.mark.parametrize("value", [130.1, -60.0])
def test_a_bound_sent_as_float32_is_within(value):
    document = binary(request([bundles.ROW]), "temp", "FP32", np.float32(value).tobytes())
    read(document, np.float32(value).tobytes())
    assert problem(
        binary(request([bundles.ROW]), "temp", "FP32", np.float32(value * 1.001).tobytes()),
        np.float32(value * 1.001).tobytes(),
    ).errors[0].code == "range"  # fmt: skip


@pytest.mark.parametrize("datatype", ["INT8", "INT16", "INT32", "UINT8", "UINT16", "UINT64", "FP16", "FP64"])
def test_whole_numbers_come_in_many_widths(datatype):
    raw = np.array([100], tensors._DTYPES[datatype]).tobytes()
    assert read(binary(request([bundles.ROW]), "distance", datatype, raw), raw).feeds["numbers"][0, 0] == 100


@pytest.mark.parametrize(
    ("name", "datatype", "array", "code"),
    [
        ("temp", "FP32", np.float32("inf"), "range"),
        ("temp", "FP64", np.float64(1e300), "range"),
        ("distance", "FP32", np.float32("nan"), "null"),
        ("distance", "FP64", np.float64(1.5), "type"),
        ("distance", "UINT64", np.uint64(2**64 - 1), "range"),
        ("waterfront", "INT32", np.int32(2), "range"),
        ("scheduled_departure", "INT64", np.int64(2**62), "range"),
    ],
)
def test_binary_values_are_held_to_the_signature(name, datatype, array, code):
    found = problem(binary(request([bundles.ROW]), name, datatype, array.tobytes()), array.tobytes())
    assert (found.status, found.errors[0].code, found.errors[0].field, found.errors[0].row) == (422, code, name, 0)


def change(name: str, /, **members: Any) -> dict[str, Any]:
    document = request([bundles.ROW, bundles.ROW])
    next(item for item in document["inputs"] if item["name"] == name).update(members)
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"inputs": []}, "input carrier: missing"),
        ({"inputs": request([bundles.ROW])["inputs"] * 2}, "12 inputs"),
        (change("temp", name="tmp"), "input temp: missing"),
        (change("temp", datatype="BYTES"), "datatype"),
        (change("temp", datatype="FP128"), "datatype"),
        (change("carrier", datatype="FP32"), "takes BYTES"),
        (change("temp", shape=[2, 2]), "shape"),
        (change("temp", shape=[]), "shape"),
        (change("carrier", shape=[]), "shape"),
        (change("temp", shape=[-2]), "shape"),
        (change("carrier", shape=[1]), "shape"),
        (change("temp", data=[1.0]), "1 values"),
        (change("temp", data=None), "no data"),
        (change("temp", shape=[2, 1], data=[[1.0, 2.0], [3.0]]), "does not have its shape"),
        (change("temp", parameters={"binary_data_size": 9}), "does not fit"),
        (change("temp", parameters={"binary_data_size": -1}), "does not fit"),
        (change("temp", parameters={"binary_data_size": "8"}), "does not fit"),
    ],
)
def test_what_breaks_the_protocol(document, words):
    found = problem(document)
    assert found.status == 400
    assert words in found.detail


@pytest.mark.parametrize("raw", [b"", b"\1", spell(b"a"), spell(b"a", b"b", b"c"), struct.pack("<I", 2**32 - 1) + b"a"])
def test_texts_must_fill_their_tensor(raw):
    found = problem(binary(request([bundles.ROW] * 2), "carrier", "BYTES", raw), raw or b"")
    assert found.status in {400, 422}


def test_bytes_that_are_no_utf8_are_named():
    raw = spell(b"UA", b"\xff")
    found = problem(binary(request([bundles.ROW] * 2), "carrier", "BYTES", raw), raw)
    assert (found.errors[0].row, found.errors[0].field) == (1, "carrier")


def test_wrong_values_in_json_tensors_are_named():
    found = problem(change("temp", data=[1.0, "warm"]))
    assert (found.status, found.errors[0].row, found.errors[0].field) == (422, 1, "temp")
    assert problem(change("distance", data=[1, 10**400])).errors[0].field == "distance"


@pytest.mark.parametrize("length", [-2, 10**9])
def test_header_length_must_fit(length):
    with pytest.raises(Problem):
        tensors.parse(b"{}", length)


def test_empty_and_oversized_batches():
    empty = request([])
    assert problem(empty).status == 422
    assert problem(request([bundles.ROW] * 1001)).status == 413


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": [{"name": "probability"}]}, False),
        ({"outputs": [{"name": "probability", "parameters": {"binary_data": True}}]}, True),
    ],
)
def test_binary_answers_on_request(members, wanted):
    parsed, _ = tensors.parse(json.dumps({"inputs": [], **members}).encode(), -1)
    assert tensors.wants_binary(parsed, SIGNATURE.output) is wanted


@pytest.mark.parametrize("output", [{"name": "other"}, {"name": "probability", "parameters": {"classification": 2}}])
def test_outputs_that_there_are_not(output):
    parsed, _ = tensors.parse(json.dumps({"inputs": [], "outputs": [output]}).encode(), -1)
    with pytest.raises(Problem):
        tensors.wants_binary(parsed, SIGNATURE.output)
