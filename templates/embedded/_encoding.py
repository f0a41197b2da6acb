"""
From rows to the tensors of the graph: NFC texts, float32 numbers, whole seconds; no feature logic, which is in the graph.

Standard library and numpy alone. A row that the signature does not allow is refused, naming row and field.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the wall clock is what the model counts
_WHOLE = 2.0**24  # beyond it float32 skips whole numbers
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)


class InvalidRows(ValueError):  # noqa: N818  # reads as the fact that it is
    """Rows that the model does not take; the message names row and field."""


def encode(rows: Sequence[Mapping[str, Any]], signature: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return `numbers` float32, `texts` object and `times` int64, each `(n_rows, n_columns)`.

    Raises:
        InvalidRows: a field is missing, unknown, or holds what the signature does not allow.
    """
    inputs = {spec["name"]: spec for spec in signature["inputs"]}
    for place, row in enumerate(rows):
        _same_names(place, row, inputs)
    kinds: dict[str, tuple[Any, Callable[[Any, Mapping[str, Any]], Any]]] = {
        "numbers": (np.float32, number),
        "texts": (object, text),
        "times": (np.int64, moment),
    }
    tensors: dict[str, Any] = {}
    for group, (dtype, read) in kinds.items():
        names = signature["graph"].get(group) or []
        if names:
            made = np.empty((len(rows), len(names)), dtype=dtype)
            for column, name in enumerate(names):
                for place, row in enumerate(rows):
                    made[place, column] = _read(read, place, row[name], inputs[name])
            tensors[group] = made
    return tensors


def number(value: Any, spec: Mapping[str, Any]) -> float:
    """Read a number, a whole number or a boolean; null is NaN."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:  # noqa: PLR0124  # NaN
        _null(spec)
        return math.nan
    boolean = spec["type"] == "boolean"
    if isinstance(value, bool) is not boolean or not isinstance(value, (bool, int, float)):
        raise ValueError(f"must be {'true or false' if boolean else 'a number'}, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")
    if spec["type"] == "integer" and value != int(value):
        raise ValueError(f"must be a whole number, got {value!r}")
    low, high = bounds(spec)
    if not low <= value <= high:
        raise ValueError(f"must be between {low:.10g} and {high:.10g}, got {value!r}")
    return float(value)


def bounds(spec: Mapping[str, Any]) -> tuple[float, float]:
    """Least and greatest value; whole numbers stay within what float32 holds exactly."""
    widest = _WHOLE if spec["type"] == "integer" else math.inf
    low, high = spec.get("minimum"), spec.get("maximum")
    return max(-widest, -math.inf if low is None else low), min(widest, math.inf if high is None else high)


def text(value: Any, spec: Mapping[str, Any]) -> str:
    """Read a text, in Unicode NFC; null is the empty text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        _null(spec)
        return ""
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {type(value).__name__}")  # noqa: TRY004  # one kind of refusal
    value = unicodedata.normalize("NFC", str(value))
    if "\0" in value:
        raise ValueError("must not hold the character U+0000")
    longest = spec.get("max_length")
    if longest is not None and len(value) > longest:
        raise ValueError(f"must have at most {longest} characters, has {len(value)}")
    known = spec.get("categories")
    if spec.get("unknown") == "reject" and known is not None and value not in known:
        raise ValueError(f"{value!r} is not one of the {len(known)} values that the model knows")
    return value


def moment(value: Any, _spec: Mapping[str, Any]) -> int:
    """Read a moment (ISO 8601 text, datetime, date or numpy.datetime64) as seconds since 1970 on the wall clock."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        value = datetime.fromisoformat(value.upper())
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001
    if not isinstance(value, datetime) or value != value:  # noqa: PLR0124  # pandas' NaT
        raise ValueError("must be an ISO 8601 date and time")
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    gone = value - _EPOCH
    return int(gone.days * 86_400 + gone.seconds)


def _read(read: Callable[[Any, Mapping[str, Any]], Any], place: int, value: Any, spec: Mapping[str, Any]) -> Any:
    try:
        return read(value, spec)
    except (ValueError, OverflowError) as error:
        raise InvalidRows(f"row {place}: {spec['name']}: {error}") from None


def _null(spec: Mapping[str, Any]) -> None:
    if not spec.get("nullable"):
        raise ValueError("must not be null")


def _same_names(place: int, row: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    if row.keys() == inputs.keys():
        return
    for name in inputs:
        if name not in row:
            raise InvalidRows(f"row {place}: {name}: is missing")
    unknown = sorted(str(name) for name in row.keys() - inputs.keys())
    raise InvalidRows(f"row {place}: {unknown[0]}: is not a field of this model")
