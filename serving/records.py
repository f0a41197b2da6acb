"""
The quick way in: JSON records decoded straight into typed rows.

The decoder checks types, ranges, categories and field names while it reads. It may only take what the column encoder
would take, with the same result; whatever it refuses is looked at again there (`intake.py`), which finds the words.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal
from unicodedata import is_normalized

import msgspec
from msgspec import Meta

from serving import times
from serving.encoded import Encoded, Row, stack

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
            return self._row(self._one(body))
        except REFUSALS:
            return None

    def plain_row(self, values: dict[str, Any]) -> Row | None:
        """Read a record that was decoded already."""
        try:
            return self._row(msgspec.convert(values, self.record))
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
        rows = [row for row in map(self._row, records) if row is not None]
        if len(rows) < len(records):
            return None
        return rows[0] if len(rows) == 1 else stack(rows, self.graph)

    def _row(self, record: Any) -> Row | None:
        texts = self._texts(record)
        if texts and not _plain(texts):
            texts = tuple(text or "" for text in texts)
            joined = "".join(texts)
            if "\0" in joined or not all(is_normalized("NFC", text) for text in texts):
                return None
        moments = self._times(record)
        if moments:
            moments = tuple(map(times.seconds, moments))
            if min(moments) < times.EARLIEST or max(moments) > times.LATEST:
                return None
        return Row(self._numbers(record), texts, moments)


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
    kind = _kind(spec)
    return kind | None if spec.nullable else kind


def _kind(spec: Input) -> Any:
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
