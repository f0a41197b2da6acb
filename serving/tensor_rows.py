"""
The quick way in for the protocol: one row, sent as JSON tensors.

As in `records.py`, the decoder checks names, datatypes, shapes, types and ranges while it reads, and may only take what
the close look (`tensors.py`) would take, with the same result. Binary data, batches and rarer datatypes are left to it.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from serving.records import REFUSALS, kind, to_row
from serving.tensors import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.encoded import Row
    from serving.signature import Input, Signature

# Datatypes in which JSON's own number is the value. The narrower ones round or overflow, and are looked at closely.
_DATATYPES: dict[str, Any] = {
    "number": Literal["FP32", "FP64"],
    "integer": Literal["INT64", "INT32", "FP64"],
    "boolean": Literal["BOOL"],
    "string": Literal["BYTES"],
    "datetime": Literal["BYTES"],
}
_ONE = Annotated[list[Literal[1]], Meta(min_length=1, max_length=2)]  # [1] or [1, 1]


class TensorReader:
    """Reads requests for one row."""

    def __init__(self, signature: Signature) -> None:
        self._size = len(signature.inputs)
        classes = {spec.name: _tensor(index, spec) for index, spec in enumerate(signature.inputs)}
        union: Any = _union([*classes.values()])
        request = msgspec.defstruct(
            "OneRow",
            [
                ("inputs", Annotated[list[union], Meta(min_length=self._size, max_length=self._size)]),
                ("id", str | None, None),
                ("outputs", None, None),
                ("parameters", dict[str, Any], msgspec.field(default_factory=dict)),
            ],
        )
        self._decode = msgspec.json.Decoder(request).decode
        self._classes, graph = [*classes.values()], signature.graph
        places = {name: place for place, name in enumerate(classes)}
        self._numbers, self._texts, self._times = (
            _getter([places[name] for name in names]) for names in (graph.numbers, graph.texts, graph.times)
        )

    def row(self, body: bytes) -> tuple[Request, Row] | None:
        """Read a request; None when it must be looked at more closely."""
        try:
            request: Any = self._decode(body)
        except REFUSALS:
            return None
        values = self._in_order(request.inputs)
        if values is None:
            return None
        row = to_row(self._numbers(values), self._texts(values), self._times(values))
        return (Request([], request.id, None, request.parameters), row) if row else None

    def _in_order(self, tensors: list[Any]) -> list[Any] | None:
        """Return the values in the signature's order; None when a name appears twice."""
        if [*map(type, tensors)] != self._classes:  # most clients send them in order
            found = {type(tensor): tensor for tensor in tensors}
            if len(found) < self._size:
                return None
            tensors = [found[one] for one in self._classes]
        return [tensor.data[0] for tensor in tensors]


def _getter(places: list[int]) -> Callable[[Any], tuple[Any, ...]]:
    if not places:
        return lambda _: ()
    get = itemgetter(*places)
    return get if len(places) > 1 else lambda values: (get(values),)


def _tensor(index: int, spec: Input) -> Any:
    value: Any = kind(spec) | None if spec.nullable else kind(spec)
    fields = [("shape", _ONE), ("datatype", _DATATYPES[spec.type]), ("data", tuple[value])]
    # The decoder picks the class by the tensor's name.
    return msgspec.defstruct(
        f"Tensor{index}", fields, tag_field="name", tag=spec.name, forbid_unknown_fields=True, gc=False
    )


def _union(classes: list[Any]) -> Any:
    union = classes[0]
    for one in classes[1:]:
        union |= one
    return union
