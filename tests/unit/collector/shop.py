"""A small contract for the collection service, and rows that fit it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from collector.contract import Contract
from collector.event_form import EventForm
from collector.outcome_form import OutcomeForm
from collector.record_form import RecordForm
from collector.sensitive import Guard

NOW = 1_400_000_000_000_000  # 2014-05-13
HASH_KEY = "a key of enough characters"
DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "project": "shop",
    "digest": "a" * 64,
    "event_time": "sold",
    "keys": ["till", "sold"],
    "cluster": "day",
    "target": "returned",
    "label_horizon_days": 30,
    "period": "month",
    "lateness_days": 2,
    "columns": {
        "sold": {"type": "datetime", "role": "feature"},
        "price": {"type": "number", "minimum": 0, "maximum": 1000},
        "pieces": {"type": "integer", "nullable": True, "minimum": 1},
        "gift": {"type": "boolean", "nullable": True},
        "kind": {"type": "string", "categories": ["food", "Möbel"], "unknown": "reject"},
        "town": {"type": "string", "nullable": True, "max_length": 10},
        "till": {"type": "integer", "role": "meta", "minimum": 1, "maximum": 99},
        "card": {"type": "string", "role": "meta", "nullable": True, "sensitive": "hash"},
        "note": {"type": "string", "role": "meta", "nullable": True, "sensitive": "drop"},
        "returned": {"type": "boolean", "role": "target", "nullable": True},
        "returned_days": {"type": "integer", "role": "after", "nullable": True, "minimum": 0},
    },
}


def document(**changes: Any) -> dict[str, Any]:
    return {**DOCUMENT, **changes}


def contract(**changes: Any) -> Contract:
    return msgspec.convert(document(**changes), Contract)


def forms(found: Contract | None = None) -> dict[str, Any]:
    found = found or contract()
    guard = Guard(found, HASH_KEY)
    return {"records": RecordForm(found, guard, 60), "events": EventForm(found, guard, 60),
            "outcomes": OutcomeForm(found, guard, 60)}  # fmt: skip


def moment(n: int) -> str:
    return (datetime(2014, 1, 1) + timedelta(minutes=37 * n)).isoformat()


def row(n: int = 0, **changes: Any) -> dict[str, Any]:
    found = {"sold": moment(n), "price": n % 100 + 0.5, "pieces": 3, "gift": n % 2 == 0, "kind": "food", "town": "Ulm",
             "till": n % 9 + 1, "card": f"card {n}", "note": "secret"}  # fmt: skip
    return {name: value for name, value in {**found, **changes}.items() if value is not ...}


def keys(n: int) -> dict[str, Any]:
    return {name: row(n)[name] for name in ("till", "sold")}


def event(n: int = 0, **changes: Any) -> dict[str, Any]:
    inputs = {name: row(n)[name] for name in ("sold", "price", "pieces", "gift", "kind", "town")}
    found = {"time": f"{moment(n)}+00:00", "request_id": f"ask-{n}", "row": 0, "release": "shop@1.0.0", "version": "1.0.0",
             "bundle": "sha256:abc", "inputs": inputs, "probability": 0.25}  # fmt: skip
    return {name: value for name, value in {**found, **changes}.items() if value is not ...}


def outcome(n: int = 0, **changes: Any) -> dict[str, Any]:
    found = {**keys(n), "request_id": f"ask-{n}", "row": 0, "known_at": moment(n + 100), "returned": n % 3 == 0}
    return {name: value for name, value in {**found, **changes}.items() if value is not ...}


def lines(*documents: Any) -> bytes:
    return b"".join(msgspec.json.encode(document) + b"\n" for document in documents)
