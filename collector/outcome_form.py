"""Outcomes: what became known later of a record, of a prediction, or of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from collector import keys, moments
from collector.contract import Column
from collector.event_form import REQUEST_ID, address
from collector.fields import Field
from collector.forms import Common, struct
from collector.record_form import fields_of
from collector.store.interface import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.contract import Contract
    from collector.sensitive import Guard
    from collector.store.interface import Kind

_UNSET = msgspec.UNSET


class OutcomeForm(Common):
    """Reads the outcomes of one project."""

    kind: Kind = "outcomes"

    def __init__(self, contract: Contract, guard: Guard, ahead_s: float) -> None:
        own = fields_of(contract)
        self._keys, self._later = contract.ordered_keys, contract.later
        fields = {
            "known_at": Field("known_at", Column(type="datetime"), required=True),
            "request_id": Field("request_id", Column(type="string", max_length=128), required=False),
            "row": Field("row", Column(type="integer", minimum=0, maximum=1_000_000), required=False),
            **{name: own[name] for name in (*self._keys, *self._later)},
        }
        for name, field in fields.items():
            field.required = name == "known_at"
        super().__init__(contract, guard, ahead_s, fields)
        annotations = {
            name: field.annotation if field.required else field.annotation | msgspec.UnsetType
            for name, field in fields.items()
        }
        self.compile(struct("Outcome", annotations, [name for name in fields if name != "known_at"], _UNSET))
        self._slots = [(name, f"f{place}", fields[name].kind == "datetime") for place, name in enumerate(fields)]
        self._spell = keys.speller([contract.columns[name].type for name in self._keys])
        shields = {name: guard.shield(name) for name in (*self._keys, *self._later)}
        self._shields = {name: shield for name, shield in shields.items() if shield}

    def items(self, records: list[Any], now: int) -> list[Outcome]:
        """Turn decoded outcomes into what is kept."""
        found = []
        for index, record in enumerate(records):
            values: dict[str, Any] = {}
            for name, slot, moment in self._slots:
                value = getattr(record, slot)
                if value is not _UNSET:
                    values[name] = moments.microseconds(value) if moment and value is not None else value
            for name, shield in self._shields.items():
                if name in values:
                    values[name] = shield(values[name])
            reasons: list[Reason] = []
            item = self._make(index, values, now, reasons)
            if item is None:
                raise ValueError("needs a closer look")
            found.append(item)
        return found

    def item(
        self, index: int, document: dict[str, Any], now: int, hashed: frozenset[str], reasons: list[Reason]
    ) -> Outcome | None:
        """Turn one outcome into what is kept, or say why not."""
        self.strangers(document, self.fields, reasons)
        values = self.judged(document, self.fields, hashed, reasons)
        return None if reasons else self._make(index, values, now, reasons)

    def _make(self, index: int, values: Mapping[str, Any], now: int, reasons: list[Reason]) -> Outcome | None:
        self.early("known_at", values["known_at"], now, reasons)
        request_id = values.get("request_id")
        if request_id is not None and not REQUEST_ID.fullmatch(request_id):
            reasons.append(Reason("request_id", "may hold letters, digits, . _ : - only"))
        given = [name for name in self._keys if name in values]
        if given and len(given) < len(self._keys):
            missing = [name for name in self._keys if name not in values]
            reasons.append(Reason(missing[0], f"is missing: a record is named by {', '.join(self._keys)} together"))
        if request_id is None and not given:
            reasons.append(Reason(None, f"names neither a request_id nor {', '.join(self._keys) or 'keys'}"))
        known = {name: values[name] for name in self._later if name in values}
        if not known:
            reasons.append(Reason(None, f"says nothing: needs at least one of {', '.join(self._later)}"))
        if reasons:
            return None
        return Outcome(
            place=index,
            key=self._spell([values[name] for name in self._keys]) if given else None,
            address=None if request_id is None else address(request_id, values.get("row", 0)),
            known_at=values["known_at"],
            values=known,
        )
