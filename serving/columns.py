"""
One column of values against its part of the signature.

Each column has `fault(value)`, which judges one value and is the only place that decides; a quick test of the whole
column comes first, and values are looked at one by one only to name those that are wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np

from serving import times
from serving.problems import json_type, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.problems import Faults
    from serving.signature import Input

Values = list[Any] | np.ndarray
Fault = tuple[str, str]  # code, message


class _Absent:
    """Holds the place of a value that the caller left out; its absence was noted already."""


ABSENT = _Absent()


class NumberColumn:
    """Numbers, whole numbers and booleans; null is NaN."""

    def __init__(self, spec: Input) -> None:
        self.name, self.nullable = spec.name, spec.nullable
        self.low, self.high = (0.0, 1.0) if spec.type == "boolean" else spec.bounds
        self.whole = spec.type != "number"
        self.noun = {"number": "a number", "integer": "a whole number", "boolean": "true or false"}[spec.type]
        kinds = {bool} if spec.type == "boolean" else {int, float}
        self.kinds: frozenset[type] = frozenset(kinds | ({type(None)} if spec.nullable else set()))

    def encode(self, values: Values, faults: Faults) -> np.ndarray:
        """Return the column as float32; values that do not fit are noted as faults."""
        array = self._array(values)
        if array is None or not self._fits(array):
            self._name(values, faults)
            return np.zeros(len(values), np.float32)
        return array.astype(np.float32)

    def fault(self, value: object, low: float, high: float, kinds: frozenset[type]) -> Fault | None:
        """Judge one value; `kinds` are the Python types that it may have."""
        if value is None or value != value:  # noqa: PLR0124 # NaN, which only tensors can carry
            return None if self.nullable else ("null", f"must be {self.noun}, not null")
        if type(value) not in kinds or not isinstance(value, (int, float)):
            return "type", f"must be {self.noun}, not {json_type(value)}"
        if value in {float("inf"), float("-inf")}:
            return "range", "must be finite"
        if self.whole and value != int(value):
            return "type", f"must be {self.noun}, got {show(value)}"
        if not low <= value <= high:
            return "range", f"must be between {low:.10g} and {high:.10g}, got {show(value)}"
        return None

    def _array(self, values: Values) -> np.ndarray | None:
        if isinstance(values, np.ndarray):
            return values if values.dtype.kind == "f" else values.astype(np.float64)
        if not self.kinds.issuperset(map(type, values)):
            return None
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            return None

    def _fits(self, array: np.ndarray) -> bool:
        low, high = self._bounds(array)
        null = np.isnan(array)
        if not self.nullable and null.any():
            return False
        with np.errstate(invalid="ignore"):
            good = (array >= low) & (array <= high)
            if self.whole:
                good &= array == np.rint(array)
        return bool((good | null).all())

    def _bounds(self, values: Values) -> tuple[float, float]:
        """The bounds as precise as the values are: 0.1 sent as float32 is not above a maximum of 0.1."""
        if isinstance(values, np.ndarray) and values.dtype == np.float32:
            return float(np.float32(self.low)), float(np.float32(self.high))
        return self.low, self.high

    def _name(self, values: Values, faults: Faults) -> None:
        low, high = self._bounds(values)
        tensor = isinstance(values, np.ndarray)
        kinds = frozenset({bool, int, float}) if tensor else self.kinds
        for row, value in enumerate(values.tolist() if isinstance(values, np.ndarray) else values):
            found = None if value is ABSENT else self.fault(value, low, high, kinds)
            if found:
                faults.add(*found, row=row, field=self.name)


class TextColumn:
    """Texts in Unicode NFC; null is the empty text."""

    def __init__(self, spec: Input) -> None:
        self.name, self.nullable, self.longest = spec.name, spec.nullable, spec.max_length
        self.kinds: frozenset[type] = frozenset({str, type(None)} if spec.nullable else {str})
        self.allowed = frozenset(spec.categories or ()) if spec.rejects else None

    def encode(self, values: Values, faults: Faults) -> list[str]:
        """Return the column as texts; values that do not fit are noted as faults."""
        if self.kinds.issuperset(map(type, values)):
            texts = [normalize("NFC", value) if value else "" for value in values]
            if self._fits(texts, values):
                return texts
        for row, value in enumerate(values):
            found = None if value is ABSENT else self.fault(value)
            if found:
                faults.add(*found, row=row, field=self.name)
        return [""] * len(values)

    def fault(self, value: object) -> Fault | None:
        """Judge one value."""
        if value is None:
            return None if self.nullable else ("null", "must be a text, not null")
        if not isinstance(value, str):
            return "type", f"must be a text, not {json_type(value)}"
        text = normalize("NFC", value)
        if "\0" in text:
            return "text", "must not hold the character U+0000"
        if self.longest is not None and len(text) > self.longest:
            return "length", f"must have at most {self.longest} characters, has {len(text)}"
        if self.allowed is not None and text not in self.allowed:
            return "category", f"{show(text)} is not one of the {len(self.allowed)} values that the model knows"
        return None

    def _fits(self, texts: list[str], values: Values) -> bool:
        if self.longest is not None and max(map(len, texts), default=0) > self.longest:
            return False
        if self.allowed is not None and not self.allowed.issuperset(
            text for text, value in zip(texts, values, strict=True) if value is not None
        ):
            return False
        return "\0" not in "".join(texts)


class TimeColumn:
    """Moments, as ISO 8601 texts or (tensors only) as seconds since 1970."""

    def __init__(self, spec: Input) -> None:
        self.name = spec.name

    def encode(self, values: Values, faults: Faults) -> list[int]:
        """Return the column as whole seconds; values that do not fit are noted as faults."""
        tensor = isinstance(values, np.ndarray)
        moments: list[Any]
        if isinstance(values, np.ndarray):
            moments = values.tolist()
        else:
            moments = times.parse_all(values) or [self._seconds(value) for value in values]
        for row, moment in enumerate(moments):
            if moment is not None and times.EARLIEST <= moment <= times.LATEST:
                continue
            moments[row] = 0
            if values[row] is not ABSENT:
                faults.add(*self.fault(None if tensor else values[row], tensor=tensor), row=row, field=self.name)
        return moments

    @staticmethod
    def _seconds(value: object) -> int | None:
        return times.parse(value) if isinstance(value, str) else None

    @staticmethod
    def fault(value: object, *, tensor: bool = False) -> Fault:
        """Say what is wrong with a value that could not be read."""
        if tensor:
            return "range", "must lie in the years 1 to 9999"
        if value is None:
            return "null", "must be a date and time, not null"
        if not isinstance(value, str):
            return "type", f"must be an ISO 8601 date and time, not {json_type(value)}"
        return "time", f"{show(value)} is not an ISO 8601 date and time in the years 1 to 9999"


Column = NumberColumn | TextColumn | TimeColumn


def build(inputs: Sequence[Input]) -> dict[str, Column]:
    """Make the column of each input, by name."""
    kinds: dict[str, type[NumberColumn | TextColumn | TimeColumn]] = {"string": TextColumn, "datetime": TimeColumn}
    return {spec.name: kinds.get(spec.type, NumberColumn)(spec) for spec in inputs}
