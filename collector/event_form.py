"""Prediction events, as `serving/events.py` spells them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from collector import moments
from collector.contract import Column
from collector.fields import Field
from collector.forms import Common, encode, struct
from collector.record_form import fields_of
from collector.store.interface import Prediction, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.contract import Contract
    from collector.sensitive import Guard
    from collector.store.interface import Kind

OUTPUTS = ("probability", "probabilities", "prediction", "score")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_ROWS = 1_000_000
_HEAD = {
    "time": Column(type="datetime"),
    "request_id": Column(type="string", max_length=128),
    "row": Column(type="integer", minimum=0, maximum=_ROWS),
    "release": Column(type="string", max_length=200),
    "version": Column(type="string", max_length=100),
    "bundle": Column(type="string", max_length=100),
}


def address(request_id: str, row: int) -> bytes:
    """Spell where a prediction is found."""
    return f"{request_id}#{row}".encode()


class EventForm(Common):
    """Reads the predictions of one project."""

    kind: Kind = "events"

    def __init__(self, contract: Contract, guard: Guard, ahead_s: float) -> None:
        super().__init__(contract, guard, ahead_s, {n: Field(n, c, required=True) for n, c in _HEAD.items()})
        self.inputs = {name: field for name, field in fields_of(contract).items() if name in contract.features}
        self._names = [*_HEAD, "inputs", *OUTPUTS]
        optional = [name for name, field in self.inputs.items() if field.null]
        taken = struct("Inputs", {name: field.annotation for name, field in self.inputs.items()}, optional, None)
        annotations = {
            **{name: field.annotation for name, field in self.fields.items()},
            "inputs": taken,
            "probability": float | msgspec.UnsetType,
            "prediction": float | msgspec.UnsetType,
            "score": float | msgspec.UnsetType,
            "probabilities": list[float] | dict[str, float] | msgspec.UnsetType,
        }
        self.compile(struct("Event", annotations, OUTPUTS, msgspec.UNSET))
        wait = (contract.label_horizon_days + contract.lateness_days) * moments.DAY_US
        self._wait, self._event_time = int(wait), contract.event_time
        self._slots = [*_HEAD, "inputs", "probability", "prediction", "score", "probabilities"]

    def items(self, records: list[Any], now: int) -> list[Prediction]:
        """Turn decoded events into what is kept."""
        found = []
        for index, record in enumerate(records):
            values = {name: getattr(record, f"f{place}") for place, name in enumerate(self._slots)}
            values["time"] = moments.microseconds(values["time"])
            taken = values["inputs"]
            values["inputs"] = {name: _kept(getattr(taken, f"f{n}")) for n, name in enumerate(self.inputs)}
            outputs = [name for name in OUTPUTS if values[name] is not msgspec.UNSET]
            if len(outputs) != 1 or values["time"] > now + self.ahead or not REQUEST_ID.fullmatch(values["request_id"]):
                raise ValueError("needs a closer look")
            found.append(self._make(index, values, outputs[0]))
        return found

    def item(
        self, index: int, document: dict[str, Any], now: int, hashed: frozenset[str], reasons: list[Reason]
    ) -> Prediction | None:
        """Turn one event into what is kept, or say why not."""
        self.strangers(document, self._names, reasons)
        values = self.judged(document, self.fields, hashed, reasons)
        inputs = document.get("inputs")
        if isinstance(inputs, dict):
            self.strangers(inputs, self.inputs, reasons)
            taken = self.judged(inputs, self.inputs, hashed, reasons)
            values["inputs"] = {name: taken.get(name) for name in self.inputs}
        else:
            reasons.append(Reason("inputs", "must be an object with the model's inputs"))
        output = _output(document, reasons)
        if "request_id" in values and not REQUEST_ID.fullmatch(values["request_id"]):
            reasons.append(Reason("request_id", "may hold letters, digits, . _ : - only"))
        if "time" in values:
            self.early("time", values["time"], now, reasons)
        return None if reasons else self._make(index, {**values, output: _floats(document[output])}, output)

    def _make(self, index: int, values: Mapping[str, Any], output: str) -> Prediction:
        time, inputs = values["time"], dict(values["inputs"])
        happens = inputs.get(self._event_time) if self._event_time else None
        for name, field in self.inputs.items():
            if field.kind == "datetime":
                inputs[name] = moments.iso(inputs[name])
        body = encode([values["request_id"], values["row"], values["bundle"], output, values[output], inputs])
        return Prediction(
            place=index,
            address=address(values["request_id"], values["row"]),
            release=values["release"],
            version=values["version"],
            time=time,
            happens=time if happens is None else happens,
            due=(time if happens is None else happens) + self._wait,
            body=body,
        )


def _kept(value: Any) -> Any:
    return moments.microseconds(value) if hasattr(value, "tzinfo") else value


def _floats(value: Any) -> Any:
    """Return numbers as floats, as the decoder does: 0 and 0.0 are the same answer."""
    if isinstance(value, dict):
        return {name: float(one) for name, one in value.items()}
    return [float(one) for one in value] if isinstance(value, list) else float(value)


def _output(document: Mapping[str, Any], reasons: list[Reason]) -> str:
    found = [name for name in OUTPUTS if name in document]
    if len(found) != 1:
        reasons.append(Reason(None, f"needs exactly one of {', '.join(OUTPUTS)}"))
        return ""
    value = document[found[0]]
    several = found[0] == "probabilities"
    numbers = list(value.values() if isinstance(value, dict) else value) if several and value else [value]
    if not all(type(one) in {int, float} and math.isfinite(one) for one in numbers):
        reasons.append(Reason(found[0], "must be numbers" if several else "must be a finite number"))
    return found[0]
