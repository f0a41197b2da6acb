"""What the smoke test of the collection service sends: for each project a record that is accepted, and one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LATER = {"after", "target"}
_MOMENT = "2013-01-01T00:00:00"


def golden(contracts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Draw the records from the contracts, so that no real row leaves in an image."""
    return {"schema_version": 1, "records": [_pair(contract) for contract in contracts]}


def _pair(contract: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: column for name, column in contract["columns"].items() if column["role"] not in _LATER}
    good = {name: _value(column) for name, column in known.items()}
    field = next((name for name, column in known.items() if not column["nullable"]), next(iter(known)))
    return {
        "project": contract["project"],
        "accepted": good,
        "refused": {**good, field: ["of no type"]},
        "field": field,
    }


def _value(column: Mapping[str, Any]) -> Any:
    """Choose a value that the column's contract allows."""
    kind = column["type"]
    if kind == "string":
        return (column.get("categories") or ["golden"[: column.get("max_length") or 200]])[0]
    if kind in {"number", "integer"}:
        low, high = column.get("minimum"), column.get("maximum")
        found = low if low is not None else min(0, high if high is not None else 0)
        return -int(-found // 1) if kind == "integer" else float(found)
    return {"boolean": False, "datetime": _MOMENT}[kind]
