"""How the delivery's own schema changed between periods, in words; and the patch by which its owner accepts it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.contract import Contract
    from ci.data.drift import Finding
    from ci.data.manifest import Part


def schema_checks(parts: Sequence[Part], contract: Contract) -> Iterator[Check]:
    """Compare the tables of each period with those of the period before."""
    changes = [
        (later.period, change, harmless)
        for earlier, later in zip(parts, parts[1:], strict=False)
        for table in later.tables
        for change, harmless in _changes(table, earlier.tables.get(table, {}), later.tables[table])
    ]
    for period, change, harmless in changes:
        agreed = contract.agreed(period, change)
        outcome = Found.WARNED if harmless else Found.PASSED if agreed else Found.REJECTED
        message = f"{change} in {period}" + (", accepted by the owner" if agreed else "")
        yield Check(f"schema {change.split(':')[0]}", outcome, message, extra={"period": period, "change": change})
    if not changes:
        yield Check("schema", Found.PASSED, "delivered as before", n=len(parts))


def category_checks(period: str, findings: Sequence[Finding], contract: Contract) -> Iterator[Check]:
    """Tell of values that are new or gone; only the contract's `unknown: reject` makes a new one a fault."""
    for finding in findings:
        for kind, values in (("new", finding.new), ("gone", finding.gone)):
            if values:
                change = f"{finding.name}: {kind} {_listed(values)}"
                share = f", {finding.new_share:.1%} of its rows" if kind == "new" else ""
                agreed = contract.agreed(period, change)
                outcome = Found.PASSED if agreed else Found.WARNED
                message = f"{len(values)} {kind} in {period}: {_listed(values)}{share}"
                extra = {"period": period, "change": change, "values": list(values), "column": finding.name}
                yield Check(f"values {finding.name} {kind}", outcome, message, len(values), extra=extra)


def patch(checks: Sequence[Check], contract: Contract) -> str:
    """Write the lines for contract.yaml with which an owner accepts what was rejected or is new; '' if nothing."""
    lines = []
    for check in checks:
        if check.outcome is Found.REJECTED and "change" in check.extra:
            lines.append(f'  - {{period: "{check.extra["period"]}", change: "{check.extra["change"]}", because: …}}')
    accepted = ["accepted:", *lines] if lines else []
    for check in checks:
        column = contract.columns.get(str(check.extra.get("column")))
        if column and column.categories and check.name.endswith(" new"):
            more = ", ".join([*column.categories, *check.extra["values"]])
            accepted += ["columns:", f"  {check.extra['column']}: categories: [{more}]"]
    return "\n".join(accepted)


def _changes(table: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    if not before or not after:
        return
    gone, new = [name for name in before if name not in after], [name for name in after if name not in before]
    for name in gone:
        near = difflib.get_close_matches(name, [n for n in new if after[n] == before[name]], n=1)
        yield f"{table}.{name}: dropped" + (f" (renamed to {near[0]}?)" if near else ""), False
    for name in new:
        yield f"{table}.{name}: new column ({after[name]})", True
    for name in before:
        if name in after and before[name] != after[name]:
            yield f"{table}.{name}: {before[name]} → {after[name]}", False


def _listed(values: Sequence[str], most: int = 12) -> str:
    return ", ".join(values[:most]) + (f" and {len(values) - most} more" if len(values) > most else "")
