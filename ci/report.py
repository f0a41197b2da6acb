"""
What a step has to say: a result made of checks, facts, tables and pictures, and the report around it.

A domain function returns a `Result`; `ci.cli` adds who, when and where, and writes the report as JSON (for programs),
JUnit XML (for Jenkins) and an HTML page (for people).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ci.errors import Outcome, StepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SCHEMA_VERSION = 1


class Found(StrEnum):
    """What one check found."""

    PASSED = "passed"
    WARNED = "warned"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One question with its answer and evidence; `limit` and `observed` share a unit."""

    name: str
    outcome: Found
    message: str
    observed: float | str | None = None
    limit: float | str | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people; numbers are shown right-aligned. `note` says how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG or SVG that the page shows; copied beside it."""

    path: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a domain function found out or made; `outputs` maps paths to digests."""

    message: str
    outcome: Outcome = Outcome.PASSED
    hint: str = ""
    checks: Sequence[Check] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_error(cls, error: StepError) -> Result:
        """Turn an expected end into a result."""
        return cls(str(error), error.outcome, error.hint)

    def because(self, **changes: Any) -> Result:
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class StepReport:
    """A result, and the run that led to it; times are UTC in ISO 8601, `exit_code` only where a signal set it."""

    step: str
    project: str | None
    result: Result
    started: str
    finished: str
    params_digest: str | None = None
    git_commit: str | None = None
    build: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None

    def pictures(self) -> list[tuple[str, Picture]]:
        """Name the copies beside the page: pictures of two projects may be called alike."""
        return [(f"{place}-{picture.path.name}", picture) for place, picture in enumerate(self.result.pictures, 1)]

    def as_json(self) -> dict[str, Any]:
        """Return the report as docs/reference/report.md describes it."""
        result = asdict(self.result)
        pictures = [{"file": file, "caption": picture.caption} for file, picture in self.pictures()]
        document: dict[str, Any] = finite(
            {
                "schema_version": SCHEMA_VERSION,
                "step": self.step,
                "project": self.project,
                **result,
                "outcome": self.result.outcome.value,
                "exit_code": self.result.outcome.exit_code if self.exit_code is None else self.exit_code,
                "pictures": pictures,
                "params_digest": self.params_digest,
                "git_commit": self.git_commit,
                "build": dict(self.build),
                "started": self.started,
                "finished": self.finished,
            }
        )
        return document


def worst(checks: Iterable[Check]) -> Outcome:
    """Return the outcome that a list of checks adds up to: rejected before inconclusive before passed."""
    found = {check.outcome for check in checks}
    if Found.REJECTED in found:
        return Outcome.REJECTED
    return Outcome.INCONCLUSIVE if Found.INCONCLUSIVE in found else Outcome.PASSED


def deciding(checks: Sequence[Check]) -> Check | None:
    """Return the first check of the worst kind: the one to name in the first line."""
    for kind in (Found.REJECTED, Found.INCONCLUSIVE, Found.WARNED):
        for check in checks:
            if check.outcome is kind:
                return check
    return None


def finite(value: Any) -> Any:
    """Make a value JSON-safe: tuples become lists, numbers that are not finite their names."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str | bytes):  # a numpy scalar
        return finite(value.item())
    return value if isinstance(value, str | int | float | bool | None) else str(value)
