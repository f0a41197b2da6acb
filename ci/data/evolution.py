"""How the delivery's own schema changed between periods, in words; and the patch by which its owner accepts it."""

from __future__ import annotations

import difflib
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.contract import Contract
    from ci.data.drift import Finding
    from ci.data.manifest import Part


@dataclass(frozen=True, slots=True)
class _Change:
    """`key` is what an owner accepts, `sentence` what people read."""

    key: str
    sentence: str
    harmless: bool = False


def schema_checks(parts: Sequence[Part], contract: Contract) -> Iterator[Check]:
    """Compare the tables of each period with those of the period before."""
    changes = [
        (later.period, change)
        for earlier, later in itertools.pairwise(parts)
        for table in later.tables
        for change in _changes(table, earlier.tables.get(table, {}), later.tables[table])
    ]
    for period, change in changes:
        agreed = contract.agreed(period, change.key)
        outcome = Found.WARNED if change.harmless else Found.PASSED if agreed else Found.REJECTED
        message = f"{change.sentence} since {period}" + ("; its owner has accepted it" if agreed else "")
        extra = {"period": period, "change": change.key}
        yield Check(f"schema {change.key.split(':')[0]}", outcome, message, extra=extra)
    if not changes:
        yield Check("schema", Found.PASSED, "every period was delivered with the same columns and types", n=len(parts))


def category_checks(period: str, findings: Sequence[Finding], contract: Contract) -> Iterator[Check]:
    """Tell of values that are new or gone; only the contract's `unknown: reject` makes a new one a fault."""
    for finding in findings:
        for kind, values in (("new", finding.new), ("gone", finding.gone)):
            if values:
                change = f"{finding.name}: {kind} {_listed(values)}"
                outcome = Found.PASSED if contract.agreed(period, change) else Found.WARNED
                extra = {"period": period, "change": change, "values": list(values), "column": finding.name}
                message = _sentence(finding, kind, values, period)
                yield Check(f"values {finding.name} {kind}", outcome, message, len(values), extra=extra)


def patch(checks: Sequence[Check], contract: Contract) -> Iterator[str]:
    """Write the lines for contract.yaml with which an owner accepts what was rejected, and declares what is new."""
    rejected = [item.extra for item in checks if item.outcome is Found.REJECTED and "change" in item.extra]
    if rejected:
        yield "accepted:"
        for extra in rejected:
            yield f"  - {{period: {to_line(extra['period'])}, change: {to_line(extra['change'])}, because: …}}"
    for check in checks:
        column = contract.columns.get(str(check.extra.get("column")))
        if column and column.categories and check.name.endswith(" new"):
            unknown = [value for value in check.extra["values"] if value not in column.categories]
            if unknown:
                yield f"# columns: {check.extra['column']}: categories: add {', '.join(map(to_line, unknown))}"


def to_line(text: str) -> str:
    """Quote a text as YAML reads it, whatever is in it."""
    return json.dumps(text, ensure_ascii=False)


def _sentence(finding: Finding, kind: str, values: Sequence[str], period: str) -> str:
    if kind == "new":
        are = "is" if len(values) == 1 else "are"
        return f"{finding.name}: {_listed(values)} {are} new in {period} ({finding.new_share:.1%} of its rows)"
    return f"{finding.name}: {_listed(values)} no longer appear{'s' if len(values) == 1 else ''} in {period}"


def _changes(table: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[_Change]:
    if not before or not after:
        return
    gone, new = [name for name in before if name not in after], [name for name in after if name not in before]
    for name in gone:
        near = difflib.get_close_matches(name, [n for n in new if after[n] == before[name]], n=1)
        maybe = f" (is it called {near[0]} now?)" if near else ""
        yield _Change(f"{table}.{name}: dropped", f"{table}.{name} is no longer delivered{maybe}")
    for name in new:
        yield _Change(
            f"{table}.{name}: new column", f"{table}.{name} ({after[name]}) is delivered, too,", harmless=True
        )
    for name in before:
        if name in after and before[name] != after[name]:
            key = f"{table}.{name}: {before[name]} → {after[name]}"
            yield _Change(key, f"{table}.{name} was {before[name]} and is {after[name]}")


def _listed(values: Sequence[str], most: int = 12) -> str:
    return ", ".join(values[:most]) + (f" and {len(values) - most} more" if len(values) > most else "")
