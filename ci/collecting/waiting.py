"""What arrived wrong and waits in the service's quarantine: told with its reasons, and with a way to accept it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ci.collecting.patch import Fault, patch
from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.collecting.interface import Service
    from ci.contract import Contract
    from ci.data.held import Quarantined

SHOWN, _LOOKED_AT = 20, 1000
_WIDE = 160


def waiting(service: Service, contract: Contract) -> Result | None:
    """
    Tell of the quarantine; None if it is empty.

    Raises:
        BadInput, Unavailable: as the service says.
    """
    state = service.state()
    if not state.quarantined:
        return None
    found = service.quarantine(_LOOKED_AT)
    why = Counter(f"{reason.field}: {reason.reason}" if reason.field else reason.reason
                  for item in found for reason in item.reasons)  # fmt: skip
    most = "; ".join(f"{text} ({count:,}×)" for text, count in why.most_common(3))
    message = f"{state.quarantined:,} records wait in quarantine" + (f": {most}" if most else "")
    check = Check("quarantine", Found.WARNED, message, state.quarantined, 0, n=state.quarantined,
                  extra={"patch": list(proposed(found, contract))})  # fmt: skip
    return Result(message, checks=[check], tables=list(_tables(found, contract)))


def proposed(found: Sequence[Quarantined], contract: Contract) -> list[str]:
    """Write the lines of contract.yaml with which an owner would accept what was refused."""
    return patch([fault for item in found for fault in _faults(item)], contract)


def _faults(item: Quarantined) -> list[Fault]:
    record = item.record if isinstance(item.record, dict) else {}
    return [Fault(reason.field, record.get(reason.field)) for reason in item.reasons if reason.field]


def _tables(found: Sequence[Quarantined], contract: Contract) -> list[Table]:
    rows = [[item.id, item.kind, item.received, item.sender, _why(item), _short(item.record)] for item in found[:SHOWN]]
    columns = ["id", "kind", "received", "sender", "why", "record"]
    tables = [Table("Quarantine", columns, rows, "The oldest; docs/how-to/collect-data.md says how to replay them.")]
    lines = proposed(found, contract)
    if lines:
        note = "For contract.yaml, if what arrived is right and the contract is not."
        tables.append(Table("Contract patch", ["line"], [[line] for line in lines], note))
    return tables


def _why(item: Quarantined) -> str:
    return "; ".join(f"{reason.field}: {reason.reason}" if reason.field else reason.reason for reason in item.reasons)


def _short(record: Any) -> str:
    text = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"
