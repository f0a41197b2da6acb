"""
The quick way in: JSON records decoded straight into typed rows.

The decoder checks types, ranges, categories and field names while it reads. It may only take what the column encoder
would take, with the same result; whatever it refuses is looked at again there (`intake.py`), which finds the words.
"""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal
from unicodedata import is_normalized

import msgspec
import numpy as np
from msgspec import Meta

from serving import times
from serving.encoded import Encoded, Feeds, Row, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.signature import Input, Signature

REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class RecordReader:
    """Reads one record or a batch of them."""

    def __init__(self, signature: Signature) -> None:
        self.graph = signature.graph
        slots = {spec.name: f"f{index}" for index, spec in enumerate(signature.inputs)}
        self.record = msgspec.defstruct(
            "Record",
            [(slots[spec.name], _annotation(spec)) for spec in signature.inputs],
            rename={slot: name for name, slot in slots.items()},
            forbid_unknown_fields=True,
            gc=False,
        )
        batch = msgspec.defstruct("Batch", [("records", list[self.record])], forbid_unknown_fields=True)  # type: ignore[name-defined]
        self._one = msgspec.json.Decoder(self.record).decode
        self._many = msgspec.json.Decoder(batch).decode
        self._numbers = _getter([slots[name] for name in self.graph.numbers])
        self._texts = _getter([slots[name] for name in self.graph.texts])
        self._times = _getter([slots[name] for name in self.graph.times])

    def row(self, body: bytes) -> Row | None:
        """Read a bare record; None when it must be looked at more closely."""
        try:
            return self.encode(self._one(body))
        except REFUSALS:
            return None

    def plain_row(self, values: dict[str, Any]) -> Row | None:
        """Read a record that was decoded already."""
        try:
            return self.encode(msgspec.convert(values, self.record))
        except REFUSALS:
            return None

    def batch(self, body: bytes, max_rows: int) -> Encoded | Row | None:
        """Read `{"records": […]}`; None when it must be looked at more closely."""
        try:
            records = self._many(body).records  # type: ignore[attr-defined]
        except REFUSALS:
            return None
        if not 0 < len(records) <= max_rows:
            return None
        if len(records) == 1:
            return self.encode(records[0])
        return self._together(records) or self._one_by_one(records)

    def _together(self, records: Sequence[Any]) -> Encoded | None:
        """Encode a batch as columns, at half the cost of row by row; None when some text needs a closer look."""
        feeds: Feeds = {}
        if self.graph.numbers:
            flat = list(chain.from_iterable(map(self._numbers, records)))
            feeds["numbers"] = np.array(flat, dtype=np.float32).reshape(len(records), -1)
        if self.graph.texts:
            texts = list(map(self._texts, records))
            if not _plain(tuple(chain.from_iterable(texts))):
                return None
            feeds["texts"] = np.array(texts, dtype=object)
        if self.graph.times:
            moments = chain.from_iterable(map(self._times, records))
            seconds = np.fromiter(map(times.seconds, moments), np.int64)
            if seconds.min() < times.EARLIEST or seconds.max() > times.LATEST:
                return None
            feeds["times"] = seconds.reshape(len(records), -1)
        return Encoded(len(records), feeds)

    def _one_by_one(self, records: Sequence[Any]) -> Encoded | None:
        rows = [row for row in map(self.encode, records) if row is not None]
        return stack(rows, self.graph) if len(rows) == len(records) else None

    def encode(self, record: Any) -> Row | None:
        """Bring a decoded record into the order of the graph; None when it must be looked at more closely."""
        return to_row(self._numbers(record), self._texts(record), self._times(record))


def to_row(
    numbers: tuple[float | None, ...], texts: tuple[str | None, ...], moments: tuple[datetime, ...]
) -> Row | None:
    """Bring decoded values to the form that the graph takes; None when they must be looked at more closely."""
    if texts and not _plain(texts):
        texts = filled = tuple(text or "" for text in texts)
        if "\0" in "".join(filled) or not all(is_normalized("NFC", text) for text in filled):
            return None
    seconds = tuple(map(times.seconds, moments)) if moments else ()
    if seconds and (min(seconds) < times.EARLIEST or max(seconds) > times.LATEST):
        return None
    return Row(numbers, texts, seconds)  # type: ignore[arg-type] # no text is None any more


def _plain(texts: tuple[str | None, ...]) -> bool:
    """Whether nothing needs a closer look: no null, ASCII only (which is NFC), no U+0000."""
    try:
        joined = "".join(texts)  # type: ignore[arg-type]
    except TypeError:
        return False
    return joined.isascii() and "\0" not in joined


def _getter(slots: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not slots:
        return lambda _: ()
    get = attrgetter(*slots)
    return get if len(slots) > 1 else lambda record: (get(record),)


def _annotation(spec: Input) -> Any:
    found = kind(spec)
    return found | None if spec.nullable else found


def kind(spec: Input) -> Any:
    """Return the type that holds a value of this column to the signature while it is decoded."""
    if spec.type == "boolean":
        return bool
    if spec.type == "datetime":
        return datetime
    if spec.type == "string":
        known = tuple(text for text in spec.categories or () if spec.max_length is None or len(text) <= spec.max_length)
        if spec.rejects and known:
            return Literal[known]
        return str if spec.max_length is None else Annotated[str, Meta(max_length=spec.max_length)]
    low, high = spec.bounds
    if spec.type == "integer":
        return Annotated[int, Meta(ge=int(-(-low // 1)), le=int(high // 1))]
    return Annotated[float, Meta(ge=low, le=high)]
