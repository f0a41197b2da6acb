"""Tensors of the Open Inference Protocol v2: one per column in, one out; JSON or binary data."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from serving.intake import check_rows
from serving.problems import Faults, Problem, json_type, show

if TYPE_CHECKING:
    from serving.columns import Values
    from serving.signature import Input, Output, Signature

_INTS = {
    f"{sign}INT{bits}": np.dtype(f"<{kind}{bits // 8}")
    for sign, kind in (("", "i"), ("U", "u"))
    for bits in (8, 16, 32, 64)
}
_FLOATS = {"FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
_DTYPES: dict[str, Any] = {**_INTS, **_FLOATS, "BOOL": np.dtype(np.bool_)}
_ACCEPTED = {
    "number": {*_INTS, *_FLOATS},
    "integer": {*_INTS, *_FLOATS},
    "boolean": {*_DTYPES},
    "string": {"BYTES"},
    "datetime": {"BYTES", "INT64"},
}
_KINDS: dict[str, frozenset[type]] = {
    "BOOL": frozenset({bool, type(None)}),
    "INT": frozenset({int, type(None)}),
    "FP": frozenset({int, float, type(None)}),
}


class Tensor(msgspec.Struct):
    """One input."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct):
    """One output that the caller asks for."""

    name: str
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct):
    """The JSON part of an inference request."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] = {}


# A literal such as 1e400 is an error to the plain decoder and infinity to the other, at three times the cost; infinity
# is then refused by name.
_plain, _infinite = msgspec.json.Decoder(Request).decode, msgspec.json.Decoder(Request, float_hook=float).decode


def datatype(column: Input) -> str:
    """The datatype under which a column is advertised; a float where null must be possible."""
    if column.type in {"string", "datetime"}:
        return "BYTES"
    if column.nullable:
        return "FP64" if column.type == "integer" else "FP32"
    return {"number": "FP32", "integer": "INT64", "boolean": "BOOL"}[column.type]


def parse(body: bytes, header_length: int) -> tuple[Request, bytes]:
    """
    Split a request into its JSON part and the binary data behind it.

    Raises:
        Problem: 400.
    """
    if header_length == -2 or header_length > len(body):
        raise Problem(400, "malformed", "inference-header-content-length does not fit the body")
    head, tail = (body, b"") if header_length < 0 else (body[:header_length], body[header_length:])
    try:
        try:
            return _plain(head), tail
        except msgspec.ValidationError:
            return _infinite(head), tail
    except RecursionError:
        raise Problem(400, "malformed", "the request is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed", f"not an inference request: {error}") from None


def columns(request: Request, tail: bytes, signature: Signature, max_rows: int) -> tuple[dict[str, Values], int]:
    """
    Bring the tensors into columns by name, each `n_rows` long.

    Raises:
        Problem: 400 for what breaks the protocol, 413 for too many rows, 422 for an empty batch or wrong values.
    """
    specs = {column.name: column for column in signature.inputs}
    faults, values = Faults(), {}
    n_rows = _rows(request, specs)
    check_rows(n_rows, max_rows)
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values[tensor.name] = _from_json(tensor, n_rows, faults)
            continue
        if not isinstance(size, int) or not 0 <= size <= len(tail):
            raise _bad(tensor, f"binary_data_size {show(size)} does not fit the body")
        values[tensor.name] = _from_binary(tensor, tail[:size], n_rows, faults)
        tail = tail[size:]
    if tail:
        raise Problem(400, "malformed", f"{len(tail)} bytes follow the last tensor")
    if faults:
        raise faults.problem()
    return values, n_rows


def _rows(request: Request, specs: dict[str, Input]) -> int:
    """Hold the tensors' heads to the signature; returns the number of rows that they share."""
    if len(request.inputs) > len(specs):
        raise Problem(400, "inputs", f"{len(request.inputs)} inputs; this model has {len(specs)}")
    names = Counter(tensor.name for tensor in request.inputs)
    for name in specs:
        if names[name] != 1:
            raise Problem(400, "inputs", f"input {name}: {'appears twice' if names[name] else 'missing'}")
    shared = request.inputs[0].shape[:1]
    for tensor in request.inputs:
        if tensor.datatype not in _ACCEPTED[specs[tensor.name].type]:
            raise _bad(tensor, f"datatype {show(tensor.datatype)}; this column takes {datatype(specs[tensor.name])}")
        if not shared or tensor.shape not in (shared, [*shared, 1]) or shared[0] < 0:
            raise _bad(tensor, f"shape {show(tensor.shape)}; every input must be [N] or [N, 1] with the same N")
    return shared[0]


def _from_json(tensor: Tensor, n_rows: int, faults: Faults) -> Values:
    data = tensor.data
    if data is None:
        raise _bad(tensor, "has no data")
    if data and isinstance(data[0], list):
        if not all(isinstance(item, list) and len(item) == 1 for item in data):
            raise _bad(tensor, "data does not have its shape")
        data = [item[0] for item in data]
    if len(data) != n_rows:
        raise _bad(tensor, f"{len(data)} values, but its shape says {n_rows}")
    if tensor.datatype == "BYTES":
        return data
    return _numbers(tensor, data, faults)


def _numbers(tensor: Tensor, data: list[Any], faults: Faults) -> Values:
    """Values of a numeric datatype as an array; null becomes NaN."""
    kinds = _KINDS[tensor.datatype.strip("U0123456789")]
    if not kinds.issuperset(map(type, data)):
        for row, value in enumerate(data):
            if type(value) not in kinds:
                faults.add("type", f"must be {tensor.datatype}, not {json_type(value)}", row=row, field=tensor.name)
        return data
    kind: Any = _FLOATS.get(tensor.datatype, np.float64)
    if kinds is _KINDS["INT"] and None not in data:
        kind = np.int64
    try:
        with np.errstate(over="ignore"):
            array: np.ndarray = np.array(data, dtype=kind)
    except OverflowError:
        faults.add("range", "holds a number that is out of range", field=tensor.name)
        return data
    return array


def _from_binary(tensor: Tensor, raw: bytes, n_rows: int, faults: Faults) -> Values:
    if tensor.datatype == "BYTES":
        return _texts(tensor, raw, n_rows, faults)
    kind = _DTYPES[tensor.datatype]
    if len(raw) != n_rows * kind.itemsize:
        raise _bad(tensor, f"{len(raw)} bytes; {n_rows} values of {tensor.datatype} are {n_rows * kind.itemsize}")
    array: np.ndarray = np.frombuffer(raw, dtype=kind)
    return array


def _texts(tensor: Tensor, raw: bytes, n_rows: int, faults: Faults) -> list[Any]:
    """Split texts that each follow their length, four bytes, little-endian."""
    texts: list[Any] = []
    place = 0
    while place + 4 <= len(raw) and len(texts) < n_rows:
        (size,) = struct.unpack_from("<I", raw, place)
        item = raw[place + 4 : place + 4 + size]
        place += 4 + size
        try:
            texts.append(item.decode())
        except UnicodeDecodeError:
            faults.add("text", "is not UTF-8", row=len(texts), field=tensor.name)
            texts.append("")
    if place != len(raw) or len(texts) != n_rows:
        raise _bad(tensor, f"its binary data does not hold {n_rows} texts")
    return texts


def _bad(tensor: Tensor, message: str) -> Problem:
    return Problem(400, "inputs", f"input {show(tensor.name)}: {message}")


def wants_binary(request: Request, output: Output) -> bool:
    """
    Say whether the answer is wanted as binary data.

    Raises:
        Problem: 400 for an output or a form of it that this model does not have.
    """
    for wanted in request.outputs or ():
        if wanted.name != output.name:
            raise Problem(400, "outputs", f"output {show(wanted.name)}: this model gives {output.name}")
        if "classification" in wanted.parameters or "shared_memory_region" in wanted.parameters:
            raise Problem(400, "outputs", f"output {wanted.name}: only plain and binary data")
    if request.outputs:
        return request.outputs[0].parameters.get("binary_data") is True
    return request.parameters.get("binary_data_output") is True


def first(values: dict[str, Values]) -> dict[str, Any]:
    """The one row of a request as a record, which the quick reader can take."""
    row = {name: column.item() if isinstance(column, np.ndarray) else column[0] for name, column in values.items()}
    return {name: None if value != value else value for name, value in row.items()}  # noqa: PLR0124 # NaN is null
