"""
The body of `POST /predict`: a bare record, `{"records": […]}` or `{"columns": {…}}`.

The quick reader goes first; this module looks closely at what that one refused, and has the words for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from serving.columns import ABSENT
from serving.problems import Faults, Invalid, Problem, json_type, show
from serving.records import RecordReader

if TYPE_CHECKING:
    from serving.encoded import ColumnEncoder, Encoded, Row

_BATCH = re.compile(rb'\s*\{\s*"(records|columns)"')
_ROW = re.compile(r" - at `\$(?:\[\.\.\.\])*\[(\d+)\]")
# A literal such as 1e400 is an error to the plain decoder, which does not say where. To the other, at three times the
# cost, it is infinity, which is then refused by name.
_PLAIN, _INFINITE = msgspec.json.Decoder(Any), msgspec.json.Decoder(Any, float_hook=float)


class Intake:
    """Turns a body into encoded rows for one signature."""

    def __init__(self, encoder: ColumnEncoder, max_rows: int) -> None:
        self.encoder, self.max_rows = encoder, max_rows
        self.reader = RecordReader(encoder.signature)
        self.names = frozenset(encoder.columns)

    def row(self, body: bytes) -> Row | None:
        """Read the commonest body, one bare record; None when it is anything else."""
        return self.reader.row(body)

    def read(self, body: bytes) -> Row | Encoded:
        """
        Read any body.

        Raises:
            Problem: 400 for what is no JSON, 413 for too many rows, 422 naming row and field.
        """
        if _BATCH.match(body):
            batch = self.reader.batch(body, self.max_rows)
            if batch is not None:
                return batch
        return self._look(decode(body))

    def _look(self, document: object) -> Encoded:
        if not isinstance(document, dict):
            raise Problem(422, "invalid", f"the body must be an object, not {json_type(document)}; {_SHAPES}")
        faults = Faults()
        if len(document) == 1 and isinstance(document.get("columns"), dict):
            values, n_rows = self._columns(document["columns"], faults)
        elif len(document) == 1 and isinstance(document.get("records"), list):
            values, n_rows = self._records(document["records"], faults)
        else:
            values, n_rows = self._records([document], faults)
        return self.encoder.encode(values, n_rows, faults)

    def _records(self, records: list[object], faults: Faults) -> tuple[dict[str, list[Any]], int]:
        check_rows(len(records), self.max_rows)
        values: dict[str, list[Any]] = {name: [] for name in self.encoder.columns}
        for row, record in enumerate(records):
            fields = record if isinstance(record, dict) else {}
            if fields is not record:
                faults.add("type", f"must be an object, not {json_type(record)}", row=row)
            elif fields.keys() != self.names:
                self._names(fields, row, faults)
            for name, column in values.items():
                column.append(fields.get(name, ABSENT))
        return values, len(records)

    def _names(self, fields: dict[str, Any], row: int, faults: Faults) -> None:
        for name in self.encoder.columns:
            if name not in fields:
                faults.add("missing", "is missing", row=row, field=name)
        for name in fields.keys() - self.names:
            faults.add("field", f"{show(name)} is not a field of this model", row=row)

    def _columns(self, given: dict[str, object], faults: Faults) -> tuple[dict[str, list[Any]], int]:
        lengths = {len(column) for column in given.values() if isinstance(column, list)}
        n_rows = max(lengths, default=0)
        check_rows(n_rows, self.max_rows)
        values: dict[str, list[Any]] = {}
        for name in self.encoder.columns:
            values[name] = _column(name, given, n_rows, faults)
        for name in given.keys() - self.names:
            faults.add("field", f"{show(name)} is not a field of this model")
        return values, n_rows


_SHAPES = 'send one record, {"records": […]} or {"columns": {…}}'


def _column(name: str, given: dict[str, object], n_rows: int, faults: Faults) -> list[Any]:
    column = given.get(name, ABSENT)
    if column is ABSENT:
        faults.add("missing", "is missing", field=name)
    elif not isinstance(column, list):
        faults.add("type", f"must be an array, not {json_type(column)}", field=name)
    elif len(column) != n_rows:
        faults.add("length", f"has {len(column)} values, another column has {n_rows}", field=name)
    else:
        return column
    return [ABSENT] * n_rows


def check_rows(n_rows: int, max_rows: int) -> None:
    """
    Hold a batch to its limits.

    Raises:
        Problem: 422 for an empty one, 413 for one that is too large.
    """
    if n_rows == 0:
        raise Problem(422, "empty", f"the batch is empty; {_SHAPES}")
    if n_rows > max_rows:
        raise Problem(413, "too-many-rows", f"{n_rows} rows; this server takes at most {max_rows} at once")


def decode(body: bytes) -> object:
    """
    Decode JSON of any shape.

    Raises:
        Problem: 400, or 422 for a number that nothing can hold.
    """
    if not body.strip():
        raise Problem(400, "no-body", f"the body is empty; {_SHAPES}")
    try:
        try:
            return _PLAIN.decode(body)
        except msgspec.ValidationError:
            return _INFINITE.decode(body)
    except msgspec.ValidationError as error:
        raise _unholdable(str(error)) from None
    except UnicodeDecodeError:
        raise Problem(400, "malformed", "the body is not UTF-8") from None
    except RecursionError:
        raise Problem(400, "malformed", "the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Problem(400, "malformed", f"the body is not JSON: {error}") from None


def _unholdable(message: str) -> Invalid:
    """Name the row of a number with thousands of digits; the decoder does not say the field."""
    faults, place = Faults(), _ROW.search(message)
    faults.add("range", "holds a number that is out of range", row=int(place[1]) if place else None)
    return faults.problem()
