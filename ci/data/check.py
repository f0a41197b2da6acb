"""
The data check: may anybody train on this data version?

The contract rejects; drift warns, and rejects only where it must (critical features, the target, too many at once).
"""

from __future__ import annotations

import itertools
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.data import drift, evolution, rows
from ci.data.manifest import load_manifest, read_part
from ci.data.values import Target, Values
from ci.errors import Outcome
from ci.files import write_json
from ci.report import Check, Found, Result, Table, deciding, finite, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from ci.contract import Contract
    from ci.data.manifest import Manifest
    from ci.progress import Progress
    from ci.project import Project

_RECENT = 12


def check(project: Project, raw: Path, target: Path, progress: Progress) -> Result:
    """
    Check the data version in `raw`; write the verdict to `target` only if it passed.

    Raises:
        BadInput: the data is not readable.
    """
    manifest = load_manifest(raw)
    values = Values(project.contract, project.params.check.max_violations)
    profile, target_values = drift.Profile(project.contract), Target(project.contract)
    repeats = [_Repeats(name, columns, manifest.rows) for name, columns in _unique(project)]
    for part in progress.over(manifest.parts, f"check {project.name}"):
        frame = read_part(raw, part)
        values.add(part.period, frame)
        profile.add(part.period, frame)
        for item in repeats:
            item.add(frame)
        if project.contract.target in frame:
            target_values.add(frame[project.contract.target])
    findings = [*_findings(profile, project)]
    checks = [
        *evolution.schema_checks(manifest.parts, project.contract),
        *values.checks(),
        *target_values.checks(),
        *(check for item in repeats for check in item.checks()),
        *_volume(project, manifest),
        *_freshness(project, manifest),
        *evolution.category_checks(manifest.parts[-1].period, findings, project.contract),
        *_drift(project, manifest.parts[-1].period, findings),
        *_at_beginnings(project, manifest, profile),
    ]
    result = _told(project, manifest, checks, findings, profile)
    if result.outcome is Outcome.PASSED:
        write_json(target, finite({"data_version": manifest.version, "checks": [_plain(item) for item in checks]}))
    return result


def _unique(project: Project) -> Iterator[tuple[str, list[str]]]:
    """Yield the groups of columns whose values together may appear only once, with what to call them."""
    if project.contract.keys:
        yield "keys", list(project.contract.keys)
    yield from ((f"unique {name}", [name]) for name, column in project.contract.columns.items() if column.unique)


class _Repeats:
    """Counts keys that appear twice, over all periods, by 64-bit hashes: 8 bytes a row."""

    def __init__(self, check: str, names: list[str], n_rows: int) -> None:
        self._check, self._names = check, names
        self._hashes, self._filled = np.empty(n_rows, dtype=np.uint64), 0

    def add(self, frame: pd.DataFrame) -> None:
        if set(self._names) <= set(frame.columns):
            known = frame[self._names].dropna() if len(self._names) == 1 else frame[self._names]
            found = rows.row_hashes(known)
            self._hashes[self._filled : self._filled + len(found)] = found
            self._filled += len(found)

    def checks(self) -> Iterator[Check]:
        if not self._filled:
            return
        found, names = self._hashes[: self._filled], ", ".join(self._names)
        found.sort()
        twice = int((found[1:] == found[:-1]).sum())
        message = f"{twice:,} rows repeat {names} of another row" if twice else f"no two rows have the same {names}"
        yield Check(self._check, Found.REJECTED if twice else Found.PASSED, message, twice, 0, n=self._filled)


def _volume(project: Project, manifest: Manifest) -> Iterator[Check]:
    newest, settings = manifest.parts[-1], project.params.check
    for part in manifest.parts[:-1]:
        if not part.rows:
            yield Check(f"rows {part.period}", Found.WARNED, f"{part.period} has no rows", 0, settings.min_rows)
    name = f"rows {newest.period}"
    if not newest.closed:
        yield Check(name, Found.SKIPPED, f"{newest.period} is still open: {newest.rows:,} rows so far", newest.rows)
        return
    past = [part.rows for part in manifest.parts[:-1] if part.closed][-_RECENT:]
    usual = float(np.median(past)) if past else None
    low = max(settings.min_rows, usual / settings.rows_factor if usual else 0)
    high = usual * settings.rows_factor if usual else None
    message = f"{newest.period} has {newest.rows:,} rows" + (f", usual are {usual:,.0f}" if usual else "")
    few, many = newest.rows < low, high is not None and newest.rows > high
    yield Check(name, Found.REJECTED if few or many else Found.PASSED, message, newest.rows, high if many else low)


def _freshness(project: Project, manifest: Manifest) -> Iterator[Check]:
    if manifest.watermark is None:
        return
    age = (project.as_of - datetime.fromisoformat(manifest.watermark)).total_seconds() / 86_400
    limit = project.params.check.max_age_days
    message = f"the newest row is {age:.1f} days older than as_of {manifest.as_of}"
    if limit is None:
        yield Check("freshness", Found.SKIPPED, f"{message}; check.max_age_days sets no limit", round(age, 3))
        return
    late = age > limit
    message += f", at most {limit:g} are allowed" if late else ""
    yield Check("freshness", Found.REJECTED if late else Found.PASSED, message, round(age, 3), limit)


def _at_beginnings(project: Project, manifest: Manifest, profile: drift.Profile) -> Iterator[Check]:
    """
    Judge the first period of each era as if it were the newest, and tell of what rejects, or was accepted.

    Where a year of another source arrives in one piece, its own months would be what is ordinary for its last one.
    """
    for earlier, later in itertools.pairwise(manifest.parts[:-1]):
        if earlier.era != later.era and later.rows:
            findings = [*_findings(profile, project, later.period)]
            serious = [check for check in _drift(project, later.period, findings) if check.outcome is Found.REJECTED]
            if serious:
                yield from evolution.category_checks(later.period, findings, project.contract)
            yield from serious
            moved = [item.name for item in findings if item.drifted]
            if moved and not serious:
                message = f"{', '.join(moved)} moved where rows began to come from {later.era}; nothing of it rejects"
                share = len([name for name in moved if name != project.contract.target]) / max(len(findings), 1)
                extra = {"start": later.start, "drifted": moved}
                yield Check(f"beginning {later.period}", Found.PASSED, message, share, extra=extra)


def _findings(profile: drift.Profile, project: Project, until: str | None = None) -> Iterator[drift.Finding]:
    """Judge the newest period, or the one that is named as it was when it was the newest."""
    for name, there in profile.counts.items():
        last = list(there).index(until) + 1 if until in there else None
        counts = dict(itertools.islice(there.items(), last))
        numeric, known = profile.numeric(name), _since_accepted(counts, name, project.contract)
        finding = drift.find(known, name, project.params.check.drift, numeric=numeric)
        if finding:
            yield finding


def _since_accepted(counts: Mapping[str, drift.Counts], name: str, contract: Contract) -> Mapping[str, drift.Counts]:
    """Leave out what was before a drift that the owner has accepted: the new normal is what later periods follow."""
    agreed = {item.period for item in contract.accepted if item.change in {"drift", f"drift {name}"}}
    periods = list(counts)
    first = max((place for place, period in enumerate(periods[:-1]) if period in agreed), default=0)
    return {period: counts[period] for period in periods[first:]}


def _drift(project: Project, period: str, findings: Sequence[drift.Finding]) -> Iterator[Check]:
    contract = project.contract
    for item in findings:
        if item.drifted:
            name = f"drift {item.name}"
            serious = _is_serious(project, item) and not contract.agreed(period, name)
            extra = {"season_psi": item.season_psi, "period": period, "change": name}
            yield Check(
                name,
                Found.REJECTED if serious else Found.WARNED,
                _moved(item, period),
                item.psi,
                item.limit,
                extra=extra,
            )
    yield from _drift_together(project, period, [item for item in findings if item.name != contract.target])


def _is_serious(project: Project, item: drift.Finding) -> bool:
    settings = project.params.check.drift
    critical = item.name in settings.critical
    return item.settled and (critical or (item.name == project.contract.target and item.psi > settings.target_psi))


def _moved(item: drift.Finding, period: str) -> str:
    season = (
        f"; against the same season of an earlier year {item.season_psi:.2f}" if item.season_psi is not None else ""
    )
    early = "" if item.settled else "; too little history to reject on"
    size = f"PSI {item.psi:.2f}, ordinary is up to {item.limit:.2f}"
    return f"{item.name} in {period} is not what it was: {size}{season}{early}"


def _drift_together(project: Project, period: str, features: Sequence[drift.Finding]) -> Iterator[Check]:
    limit, drifted = project.params.check.drift.rejected_share, [item for item in features if item.drifted]
    if not features:
        yield Check("drift", Found.SKIPPED, "one period has no past to drift from")
        return
    share = len(drifted) / len(features)
    many = share > limit and all(item.settled for item in drifted) and not project.contract.agreed(period, "drift")
    which = f": {', '.join(item.name for item in drifted)}" if drifted else ""
    message = f"{len(drifted)} of {len(features)} features drifted in {period}{which}"
    extra = {"period": period, "change": "drift"}
    yield Check("drift", Found.REJECTED if many else Found.PASSED, message, share, limit, extra=extra)


def _told(
    project: Project,
    manifest: Manifest,
    checks: Sequence[Check],
    findings: Sequence[drift.Finding],
    profile: drift.Profile,
) -> Result:
    outcome, accept = worst(checks), list(evolution.patch(checks, project.contract))
    rejected = outcome is Outcome.REJECTED
    tables = (
        [Table("To accept what changed, add to contract.yaml", ("lines",), [(line,) for line in accept])]
        if accept
        else []
    )
    tables += [_sizes(findings)] if findings else []
    return Result(
        _message(manifest, checks),
        outcome,
        hint=_hint(project, accept=bool(accept)) if rejected else "",
        checks=checks,
        facts={
            "data version": manifest.version[:12],
            "as of": manifest.as_of,
            "rows": manifest.rows,
            "watermark": manifest.watermark,
            "newest period": manifest.parts[-1].period,
        },
        tables=tables,
        inputs={"data version": manifest.version},
        data={"contract_patch": "\n".join(accept), "counts": profile.counts if rejected else {}},
    )


def _message(manifest: Manifest, checks: Sequence[Check]) -> str:
    first, rejected = deciding(checks), sum(item.outcome is Found.REJECTED for item in checks)
    if first and rejected:
        return first.message + (f" (and {rejected - 1} more)" if rejected > 1 else "")
    warned = sum(item.outcome is Found.WARNED for item in checks)
    warnings = f"; {warned} warning{'s' if warned > 1 else ''}" if warned else ""
    return f"{manifest.rows:,} rows keep the contract{warnings}"


def _hint(project: Project, *, accept: bool) -> str:
    way_out = "; if the change is meant, accept it in contract.yaml, the report has the lines" if accept else ""
    return f"nothing trains on this data version; tell {project.contract.owner}{way_out}"


def _sizes(findings: Sequence[drift.Finding]) -> Table:
    found = sorted(findings, key=lambda item: item.psi / item.limit, reverse=True)
    return Table(
        "How far each column moved",
        ("column", "PSI", "limit", "noise floor", "usual for it", "same season", "drifted"),
        [(f.name, f.psi, f.limit, f.floor, f.past, f.season_psi, f.drifted) for f in found],
        "A column has drifted when its PSI exceeds all of: the threshold, what chance explains, and its own past.",
    )


def _plain(item: Check) -> dict[str, Any]:
    return {**asdict(item), "outcome": item.outcome.value}
