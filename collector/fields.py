"""
One column's values: what a sender may write, and what is kept of it.

`Field.fault` judges one value and is the only place that decides; `annotation` is the type with which the decoder does
the same while it reads, and may only take what `fault` would take.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from unicodedata import normalize

from msgspec import Meta

from collector import moments
from serving.problems import json_type, show

if TYPE_CHECKING:
    from collector.contract import Column

_INT_LOW, _INT_HIGH = -(2**63), 2**63 - 1
_FEW = 1000  # categories that the decoder compares by itself


class Field:
    """One column of the contract, as its values arrive."""

    def __init__(self, name: str, column: Column, *, required: bool) -> None:
        self.name, self.kind = name, column.type
        self.null = column.nullable or column.later
        self.required = required or not self.null
        self.secret = column.sensitive is not None
        self.longest = column.max_length
        known = tuple(normalize("NFC", value) for value in column.categories or ())
        self.known = frozenset(known) if known and column.unknown == "reject" else None
        self.low = -math.inf if column.minimum is None else column.minimum
        self.high = math.inf if column.maximum is None else column.maximum

    @property
    def annotation(self) -> Any:
        """The type that holds a value to the contract while it is decoded."""
        found = {"number": self._number, "integer": self._integer, "string": self._string}.get(self.kind)
        kind = found() if found else {"boolean": bool, "datetime": datetime}[self.kind]
        return kind | None if self.null else kind

    def fault(self, value: Any) -> str | None:
        """Say what is wrong with a decoded value; None if nothing is."""
        if value is None:
            return None if self.null else f"must be {_NOUNS[self.kind]}, not null"
        wanted = {"boolean": (bool,), "string": (str,), "datetime": (str,)}.get(self.kind, (int, float))
        if type(value) not in wanted:
            return f"must be {_NOUNS[self.kind]}, not {json_type(value)}"
        judge = {"string": self._text_fault, "datetime": _moment_fault, "boolean": lambda _: None}
        fault = judge.get(self.kind, self._number_fault)(value)
        return "is not what the contract says" if fault and self.secret else fault

    def value(self, sent: Any) -> Any:
        """Bring a value without fault to the form in which it is kept."""
        if sent is None:
            return None
        if self.kind == "datetime":
            return moments.parse(sent)
        if self.kind == "string":
            return normalize("NFC", sent)
        return {"integer": int, "number": float, "boolean": bool}[self.kind](sent)

    def _number_fault(self, value: float) -> str | None:
        if not math.isfinite(value):
            return "must be finite"
        if self.kind == "integer" and value != int(value):
            return f"must be a whole number, got {show(value)}"
        low, high = self._whole_bounds() if self.kind == "integer" else (self.low, self.high)
        if not low <= value <= high:
            return f"must be between {low:.10g} and {high:.10g}, got {show(value)}"
        return None

    def _text_fault(self, value: str) -> str | None:
        text = normalize("NFC", value)
        if "\0" in text:
            return "must not hold U+0000"
        if len(text) > self.longest:
            return f"must have at most {self.longest} characters, has {len(text):,}"
        if self.known is not None and text not in self.known:
            return f"must be one of its {len(self.known)} categories, got {show(value)}"
        return None

    def _whole_bounds(self) -> tuple[int, int]:
        low = _INT_LOW if self.low == -math.inf else math.ceil(self.low)
        return max(low, _INT_LOW), min(_INT_HIGH if self.high == math.inf else math.floor(self.high), _INT_HIGH)

    def _integer(self) -> Any:
        low, high = self._whole_bounds()
        return Annotated[int, Meta(ge=low, le=high)]

    def _number(self) -> Any:
        low, high = (None if math.isinf(bound) else bound for bound in (self.low, self.high))
        return Annotated[float, Meta(ge=low, le=high)] if (low, high) != (None, None) else float

    def _string(self) -> Any:
        if self.known is not None and len(self.known) <= _FEW:
            return Literal[tuple(sorted(value for value in self.known if len(value) <= self.longest))]
        return Annotated[str, Meta(max_length=self.longest)]


def _moment_fault(value: str) -> str | None:
    if moments.parse(value) is None:
        return f"must be a moment such as 2013-07-01T05:15:00, got {show(value)}"
    return None


_NOUNS = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "datetime": "a moment such as 2013-07-01T05:15:00",
}
