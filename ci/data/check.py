"""
The data check: may anybody train on this data version?

The contract rejects; drift warns, and rejects only where it must (critical features, the target, too many at once).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.data import drift, evolution, rows
from ci.data.manifest import load_manifest, read_part
from ci.data.values import Values, target_checks
from ci.errors import Outcome
from ci.files import write_json
from ci.report import Check, Found, Result, Table, deciding, finite, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ci.data.manifest import Manifest
    from ci.progress import Progress
    from ci.project import Project


def check(project: Project, raw: Path, target: Path, progress: Progress) -> Result:
    """
    Check the data version in `raw`; write the verdict to `target` only if it passed.

    Raises:
        BadInput: the data is not readable.
    """
    manifest = load_manifest(raw)
    values = Values(project.contract, project.params.check.max_violations)
    profile, keys, targets = drift.Profile(project.contract), _Keys(project), []
    for part in progress.over(manifest.parts, f"check {project.name}"):
        frame = read_part(raw, part)
        values.add(part.period, frame)
        profile.add(part.period, frame)
        keys.add(frame)
        if project.contract.target in frame:
            targets.append(frame[project.contract.target])
    findings = [*_findings(profile, project)]
    checks = [
        *evolution.schema_checks(manifest.parts, project.contract),
        *values.checks(),
        *(target_checks(pd.concat(targets), project.contract) if targets else ()),
        *keys.checks(),
        *_volume(project, manifest),
        *_freshness(project, manifest),
        *evolution.category_checks(manifest.parts[-1].period, findings, project.contract),
        *_drift(project, manifest.parts[-1].period, findings),
    ]
    result = _told(project, manifest, checks, findings, profile)
    if result.outcome is Outcome.PASSED:
        write_json(target, finite({"data_version": manifest.version, "checks": [_plain(item) for item in checks]}))
    return result


class _Keys:
    """Counts keys that appear twice, over all periods, by 64-bit hashes: 8 bytes a row."""

    def __init__(self, project: Project) -> None:
        self._names = project.contract.keys
        self._hashes: list[rows.Array] = []

    def add(self, frame: pd.DataFrame) -> None:
        if self._names and set(self._names) <= set(frame.columns):
            self._hashes.append(rows.row_hashes(frame[self._names]))

    def checks(self) -> Iterator[Check]:
        if not self._hashes:
            return
        together = np.concatenate(self._hashes)
        n = len(together)
        together.sort()
        twice = int((together[1:] == together[:-1]).sum())
        message = f"{twice:,} rows repeat the key {', '.join(self._names)}" if twice else "each key once"
        yield Check("keys", Found.REJECTED if twice else Found.PASSED, message, twice, 0, n=n)


def _volume(project: Project, manifest: Manifest) -> Iterator[Check]:
    newest, settings = manifest.parts[-1], project.params.check
    past = [part.rows for part in manifest.parts[:-1] if part.closed][-12:]
    if not newest.closed:
        yield Check(f"rows {newest.period}", Found.SKIPPED, "the period is still open", newest.rows)
        return
    usual = float(np.median(past)) if past else None
    low = max(settings.min_rows, usual / settings.rows_factor if usual else 0)
    high = usual * settings.rows_factor if usual else float("inf")
    message = f"{newest.rows:,} rows" + (f", usually {usual:,.0f}" if usual else "")
    outcome = Found.PASSED if low <= newest.rows <= high else Found.REJECTED
    yield Check(f"rows {newest.period}", outcome, message, newest.rows, low if newest.rows < low else high)


def _freshness(project: Project, manifest: Manifest) -> Iterator[Check]:
    if manifest.watermark is None:
        return
    age = (project.as_of - datetime.fromisoformat(manifest.watermark)).total_seconds() / 86_400
    limit = project.params.check.max_age_days
    message = f"the newest row is {age:.2f} days older than as_of {manifest.as_of}"
    outcome = Found.SKIPPED if limit is None else Found.PASSED if age <= limit else Found.REJECTED
    yield Check("freshness", outcome, message, round(age, 3), limit)


def _findings(profile: drift.Profile, project: Project) -> Iterator[drift.Finding]:
    for name, counts in profile.counts.items():
        numeric = profile.numeric(name)
        finding = drift.find(counts, name, project.params.check.drift, numeric=numeric)
        if finding:
            yield finding


def _drift(project: Project, period: str, findings: Sequence[drift.Finding]) -> Iterator[Check]:
    settings, target = project.params.check.drift, project.contract.target
    for item in findings:
        if not item.drifted:
            continue
        serious = item.name in settings.critical or (item.name == target and item.psi > settings.target_psi)
        name = f"drift {item.name}"
        agreed = project.contract.agreed(period, name)
        outcome = Found.REJECTED if serious and item.settled and not agreed else Found.WARNED
        message = f"PSI {item.psi:.2f} where {item.limit:.2f} is usual" + (
            f"; {item.season_psi:.2f} against the same season" if item.season_psi is not None else ""
        )
        extra = {"season_psi": item.season_psi, "period": period, "change": name}
        yield Check(name, outcome, message, item.psi, item.limit, extra=extra)
    features = [item for item in findings if item.name != target]
    drifted = [item for item in features if item.drifted]
    share = len(drifted) / len(features) if features else 0.0
    many = share > settings.rejected_share and all(item.settled for item in drifted)
    message = f"{len(drifted)} of {len(features)} features drifted" if features else "one period has no past to drift from"
    outcome = Found.REJECTED if many and not project.contract.agreed(period, "drift") else Found.PASSED
    extra = {"period": period, "change": "drift"}
    yield Check("drift", outcome, message, share, settings.rejected_share, extra=extra)


def _told(
    project: Project,
    manifest: Manifest,
    checks: Sequence[Check],
    findings: Sequence[drift.Finding],
    profile: drift.Profile,
) -> Result:
    first, patch = deciding(checks), evolution.patch(checks, project.contract)
    outcome = worst(checks)
    rejected = sum(item.outcome is Found.REJECTED for item in checks)
    if outcome is Outcome.PASSED:
        warned = sum(item.outcome is Found.WARNED for item in checks)
        message = f"{manifest.rows:,} rows keep the contract" + (f"; {warned} warnings" if warned else "")
    else:
        message = f"{first.name}: {first.message}" if first else ""
        message += f" (and {rejected - 1} more)" if rejected > 1 else ""
    tables = [_sizes(findings)] if findings else []
    tables += [Table("To accept these changes, add to contract.yaml", ("",), [(line,) for line in patch.splitlines()])] if patch else []
    return Result(
        message,
        outcome,
        hint=f"tell {project.contract.owner}; nothing trains on this version" if outcome is Outcome.REJECTED else "",
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
        data={"contract_patch": patch, "counts": profile.counts if outcome is not Outcome.PASSED else {}},
    )


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
