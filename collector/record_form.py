"""Contract rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from collector import keys, moments
from collector.fields import Field
from collector.forms import Common, encode, getter, places, struct
from collector.store.interface import Record

if TYPE_CHECKING:
    from collector.contract import Contract
    from collector.sensitive import Guard
    from collector.store.interface import Kind, Reason

_decode = msgspec.msgpack.Decoder().decode


def fields_of(contract: Contract) -> dict[str, Field]:
    """Return the columns of a contract as their values arrive."""
    found = {name: Field(name, column, required=False) for name, column in contract.columns.items()}
    if contract.event_time:
        found[contract.event_time].null, found[contract.event_time].required = False, True
    return found


class RecordForm(Common):
    """Reads the rows of one contract."""

    kind: Kind = "records"

    def __init__(self, contract: Contract, guard: Guard, ahead_s: float) -> None:
        super().__init__(contract, guard, ahead_s, fields_of(contract))
        names = list(contract.columns)
        plain = [name for name in names if contract.columns[name].type != "datetime"]
        times = [name for name in names if contract.columns[name].type == "datetime"]
        self._timed = frozenset(times)
        self.columns = [*plain, *times]  # the order in which values are kept
        optional = [name for name, field in self.fields.items() if field.null]
        self.compile(struct("Row", {name: self.fields[name].annotation for name in names}, optional, None))
        self._plain, self._times = getter(plain, names), getter(times, names)
        self._shields = [
            (place, shield) for place, name in enumerate(self.columns) if (shield := guard.shield(name)) is not None
        ]
        ordered = contract.ordered_keys
        self._keys = places(ordered, self.columns)
        self._spell = keys.speller([contract.columns[name].type for name in ordered]) if ordered else None
        self._time = self.columns.index(contract.event_time) if contract.event_time else None

    def items(self, records: list[Any], now: int) -> list[Record]:
        """Turn decoded rows into what is kept."""
        plain, times, make, latest = self._plain, self._times, self._make, now + self.ahead
        stamp = moments.microseconds
        found = []
        for index, record in enumerate(records):
            stamps = [None if moment is None else stamp(moment) for moment in times(record)]
            item = make(index, [*plain(record), *stamps], shield=True)
            if not moments.EARLIEST <= item.time <= latest:
                raise ValueError("not yet")
            found.append(item)
        return found

    def item(
        self, index: int, document: dict[str, Any], now: int, hashed: frozenset[str], reasons: list[Reason]
    ) -> Record | None:
        """Turn one row into what is kept, or say why not."""
        self.strangers(document, self.fields, reasons)
        found = self.judged(document, self.fields, hashed, reasons)
        if reasons:
            return None
        item = self._make(index, [found.get(name) for name in self.columns], shield=False)
        self.early(self.contract.event_time, item.time, now, reasons)
        return None if reasons else item

    def spelt(self, row: bytes) -> bytes:
        """Return a row as it is kept in JSON, as a sender would write it."""
        values, timed = dict(zip(self.columns, _decode(row), strict=True)), self._timed
        return msgspec.json.encode({name: moments.iso(v) if name in timed else v for name, v in values.items()})

    def _make(self, index: int, values: list[Any], *, shield: bool) -> Record:
        if shield:
            for place, hide in self._shields:
                values[place] = hide(values[place])
        row = encode(values)
        key = self._spell(self._keys(values)) if self._spell else keys.of_content(row)
        return Record(index, key, 0 if self._time is None else values[self._time], row)
