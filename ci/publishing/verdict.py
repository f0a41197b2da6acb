"""What the data check said of exactly these rows: a word on others counts for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import read_json, sha256
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_LINES, _MOST_ROWS = 20, 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """`answer` is passed, rejected, or empty where nobody has looked; `digest` is of check.json, where it passed."""

    answer: str
    message: str = ""
    hint: str = ""
    checks: Sequence[Check] = ()
    digest: str = ""
    patch: Sequence[str] = ()  # lines for contract.yaml, where a change may be accepted

    @property
    def rejected(self) -> list[Check]:
        """The checks that said no."""
        return [check for check in self.checks if check.outcome is Found.REJECTED]

    @property
    def way_out(self) -> str:
        """Say how a change is accepted that was meant; nothing where there is nothing to accept."""
        return f"; {self.hint.partition('; ')[2].partition('; ')[2]}".rstrip("; ") if self.hint else ""

    @property
    def warnings(self) -> int:
        """How often it warned."""
        return sum(check.outcome is Found.WARNED for check in self.checks)

    @property
    def in_words(self) -> str:
        """The answer, and how often it warned."""
        return with_warnings(self.answer, self.warnings)


def verdict_of(data_version: str, check: Path, report: Path) -> Verdict:
    """
    Read the verdict on one data version: from check.json if it passed, from the check's report if it did not.

    Raises:
        BadInput: one of the two is there and not readable.
    """
    if check.is_file():
        document = _mapping(check)
        if document.get("data_version") == data_version:
            return Verdict("passed", checks=_checks(document, check), digest=sha256(check))
    if report.is_file():
        document = _mapping(report)
        if document.get("outcome") == "rejected" and document.get("inputs", {}).get("data version") == data_version:
            message, hint = str(document.get("message", "")), str(document.get("hint", ""))
            patch = str((document.get("data") or {}).get("contract_patch") or "").splitlines()
            return Verdict("rejected", message, hint, _checks(document, report), patch=patch)
    return Verdict("")


def with_warnings(answer: str, n: int) -> str:
    """Say an answer, and how many warnings came with it."""
    return f"{answer}, {n} warning{'s' if n > 1 else ''}" if n else answer


def details(verdict: Verdict) -> list[str]:
    """Say line by line what arrived wrong, with rows for example."""
    lines: list[str] = []
    for check in verdict.rejected:
        lines.append(f"{check.name}: {check.message}")
        lines += [f"  such as {row}" for row in check.extra.get("rows", [])[:_MOST_ROWS]]
    return [line[:1000] for line in lines[:_MOST_LINES]]


def _mapping(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(f"{path}: expected keys and values")
    return document


def _checks(document: dict[str, Any], path: Path) -> list[Check]:
    try:
        return [Check(**{**item, "outcome": Found(item["outcome"])}) for item in document["checks"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not as check_data writes it", hint="run check_data again") from error
