"""What a data version's rows are like: column by column, period by period, in one pass over the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.contract import Type
from ci.data import drift, rows
from ci.data.manifest import read_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from ci.contract import Contract
    from ci.data.manifest import Manifest
    from ci.progress import Progress
    from ci.project import Project
    from ci.publishing.versions import Proposal

_TOP = 3


@dataclass
class ColumnStats:
    """One column over all periods; numbers have ends and a mean, texts their commonest values."""

    rows: int = 0
    missing: int = 0
    low: Any = None
    high: Any = None
    total: float = 0.0
    values: Counter[str] = field(default_factory=Counter)

    def add(self, series: pd.Series[Any], kind: Type) -> None:
        """Count the rows of one period."""
        known = series.dropna()
        self.rows, self.missing = self.rows + len(series), self.missing + len(series) - len(known)
        if not len(known):
            return
        if kind in {Type.STRING, Type.BOOLEAN}:
            self.values.update({str(value): int(n) for value, n in known.astype(str).value_counts().head(2000).items()})
            return
        low, high = known.min(), known.max()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        if kind is not Type.DATETIME:
            self.total += float(known.astype("float64").sum())

    @property
    def mean(self) -> float | None:
        """Of what is known; None for texts and dates."""
        known = self.rows - self.missing
        return self.total / known if known and self.low is not None and not hasattr(self.low, "isoformat") else None

    def in_words(self) -> str:
        """Say what its values are."""
        if self.values:
            counted = sum(self.values.values())
            return ", ".join(f"{value} {n / counted:.0%}" for value, n in self.values.most_common(_TOP))
        if hasattr(self.low, "isoformat"):
            return f"{self.low.isoformat()[:16]} to {self.high.isoformat()[:16]}"
        return ""


@dataclass
class Profiled:
    """Everything that a card says of the rows."""

    columns: dict[str, ColumnStats]
    profile: drift.Profile
    periods: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    target: dict[str, float] = field(default_factory=dict)

    @property
    def newest(self) -> str:
        """The newest period."""
        return self.periods[-1]

    def season(self) -> str | None:
        """Name the same part of the latest earlier year, if there is one."""
        same = [name for name in self.periods[:-1]
                if len(self.newest) > 4 and name[4:] == self.newest[4:] and name[:4] != self.newest[:4]]  # fmt: skip
        return same[-1] if same else None

    def counts(self, name: str, periods: Sequence[str]) -> Mapping[str, int]:
        """Add up a column's counts over some periods."""
        total: Counter[str] = Counter()
        for period in periods:
            total.update(self.profile.counts[name].get(period, Counter()))
        return total


def profiled(project: Project, raw: Path, manifest: Manifest, progress: Progress) -> Profiled:
    """
    Read all rows once.

    Raises:
        BadInput: a period is not what the manifest says.
    """
    contract = project.contract
    made = Profiled({name: ColumnStats() for name in contract.columns}, drift.Profile(contract))
    for part in progress.over(manifest.parts, f"card of {project.name}"):
        frame = read_part(raw, part)
        made.periods.append(part.period)
        made.rows[part.period] = part.rows
        made.profile.add(part.period, frame)
        sound = [name for name, column in contract.columns.items() if name in frame and rows.fits(frame[name], column)]
        for name in sound:
            made.columns[name].add(frame[name], contract.columns[name].type)
        mean = _target(frame, contract) if contract.target in sound else None
        if mean is not None:
            made.target[part.period] = mean
    return made


def _target(frame: pd.DataFrame, contract: Contract) -> float | None:
    """Return the mean of the target, or the share of its positives; None where neither says anything."""
    known = frame[contract.target].dropna()
    if contract.columns[contract.target].type is Type.STRING:
        return float((known == contract.positive).mean()) if contract.positive and len(known) else None
    return float(known.astype("float64").mean()) if len(known) else None


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one column moved; None where there is nothing to compare with."""

    name: str
    finding: drift.Finding | None
    former: float | None

    @property
    def share(self) -> float:
        """PSI in units of its limit, for sorting."""
        return self.finding.psi / self.finding.limit if self.finding else 0.0


def moved(project: Project, found: Profiled, proposal: Proposal) -> list[Moved]:
    """Compare what arrived with the version before, and the newest period with its past; what moved most comes first."""
    news = [name for name in found.periods if name in {*proposal.arrived, *proposal.restated}]
    old = [name for name in found.periods if name not in news]
    made = []
    for name, counts in found.profile.counts.items():
        numeric = found.profile.numeric(name)
        finding = drift.find(counts, name, project.params.check.drift, numeric=numeric)
        former = (
            drift.psi(found.counts(name, old), found.counts(name, news), numeric=numeric)[0] if old and news else None
        )
        made.append(Moved(name, finding, former))
    return sorted(made, key=lambda item: (-item.share, -(item.former or 0.0)))
