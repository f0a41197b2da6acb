"""What came of a replay: how much was taken, what was refused and why, and what would have to change in the contract."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.collecting.patch import Fault, patch
from ci.errors import Outcome
from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.contract import Contract
    from ci.data.held import Kind, Receipt

_FAULTS, _SHOWN = 10_000, 20
_COUNTS = ("accepted", "duplicates", "restated", "rejected")
ANSWERED = "answered"


@dataclass
class Sent:
    """Counts by month and kind; of what was refused, the reasons and some values."""

    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: dict[tuple[str, str], Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Everything that was sent."""
        return sum(counts["sent"] for counts in self.counts.values())

    @property
    def new_records(self) -> int:
        """How many records the service did not have before."""
        return sum(counts["accepted"] for (_, kind), counts in self.counts.items() if kind == "records")

    def of(self, name: str) -> int:
        """Count all that ended in one way."""
        return sum(counts[name] for counts in self.counts.values())

    def batch(self, month: str, kind: Kind, rows: Sequence[Mapping[str, Any]], receipt: Receipt) -> None:
        """Take note of a batch."""
        counts = self.counts.setdefault((month, kind), Counter())
        counts["sent"] += len(rows)
        for name in _COUNTS:
            counts[name] += getattr(receipt, name)
        for result in receipt.results:
            if result.outcome != "rejected":
                continue
            row = rows[result.index] if result.index < len(rows) else {}
            for reason in result.reasons:
                self._refused(reason.field or "", reason.reason, row)

    def asked(self, month: str, answers: Mapping[str, int]) -> None:
        """Take note of predictions that were asked for."""
        self.answers.setdefault(month, Counter()).update(answers)

    def _refused(self, name: str, why: str, row: Mapping[str, Any]) -> None:
        self.reasons[name, why] += 1
        self.samples.setdefault((name, why), row.get(name))
        if name and len(self.faults) < _FAULTS:
            self.faults.append(Fault(name, row.get(name)))


def told(sent: Sent, span: str, contract: Contract, *, before: bool) -> Result:
    """Say what came of it; `before` says that some or all of it was there already."""
    if not sent.total:
        return Result(f"{span}: everything was sent before", hint="--again sends it once more", data=_data(sent))
    counts = ", ".join(f"{sent.of(name):,} {name}" for name in _COUNTS if sent.of(name) or name == "accepted")
    went_on = " (the rest was sent before)" if before else ""
    message = f"{span}: {sent.total:,} records and outcomes sent{went_on}: {counts}{_asked(sent)}"
    checks = [*_refusals(sent), *_answers(sent)]
    bad = any(check.outcome is Found.REJECTED for check in checks)
    tables = [_by_month(sent), *_reasons(sent), *_patch(sent, contract)]
    hint = (
        "what was refused waits in the service's quarantine: docs/how-to/collect-data.md" if sent.of("rejected") else ""
    )
    outcome = Outcome.REJECTED if bad else Outcome.PASSED
    return Result(message, outcome, hint, checks, tables=tables, data=_data(sent))


def _asked(sent: Sent) -> str:
    ends = Counter[str]()
    for counts in sent.answers.values():
        ends.update(counts)
    return f"; asked the front door: {', '.join(f'{n:,} {end}' for end, n in ends.most_common(4))}" if ends else ""


def _refusals(sent: Sent) -> list[Check]:
    refused = sent.of("rejected")
    if not refused:
        return [Check("refused", Found.PASSED, "the service took everything", 0, 0, n=sent.total)]
    most = "; ".join(f"{name}: {why} ({n:,}×)" if name else f"{why} ({n:,}×)"
                     for (name, why), n in sent.reasons.most_common(3))  # fmt: skip
    return [
        Check(
            "refused", Found.REJECTED, f"{refused:,} of {sent.total:,} were refused: {most}", refused, 0, n=sent.total
        )
    ]


def _answers(sent: Sent) -> list[Check]:
    if not sent.answers:
        return []
    asked = sum(counts.total() for counts in sent.answers.values())
    good = sum(counts[ANSWERED] for counts in sent.answers.values())
    found = Found.PASSED if good == asked else Found.WARNED if good else Found.REJECTED
    return [Check("front door", found, f"{good:,} of {asked:,} requests were answered", good, asked, n=asked)]


def _by_month(sent: Sent) -> Table:
    rows = [[month, kind, counts["sent"], *(counts[name] for name in _COUNTS)]
            for (month, kind), counts in sent.counts.items()]  # fmt: skip
    rows += [[month, "requests", counts.total(), counts[ANSWERED], None, None, counts.total() - counts[ANSWERED]]
             for month, counts in sent.answers.items()]  # fmt: skip
    return Table("Sent", ["month", "kind", "sent", *_COUNTS], rows)


def _reasons(sent: Sent) -> list[Table]:
    rows = [[name, why, n, sent.samples[name, why]] for (name, why), n in sent.reasons.most_common(_SHOWN)]
    return [Table("Refused", ["column", "why", "times", "such as"], rows)] if rows else []


def _patch(sent: Sent, contract: Contract) -> list[Table]:
    lines = patch(sent.faults, contract)
    note = "For contract.yaml, if what was sent is right and the contract is not."
    return [Table("Contract patch", ["line"], [[line] for line in lines], note)] if lines else []


def _data(sent: Sent) -> dict[str, Any]:
    return {"sent": sent.total, **{name: sent.of(name) for name in _COUNTS},
            "answered": sum(counts[ANSWERED] for counts in sent.answers.values())}  # fmt: skip
