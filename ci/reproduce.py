"""
Reproduce: what `dvc repro` did, stage by stage, and how the run ends.

DVC turns every failure into exit code 255; here a run ends with the verdict of the stage that failed.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ci import project
from ci.errors import Outcome
from ci.files import read_json
from ci.report import Check, Found, Result, Table
from ci.stages import Did, Log, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NOISE = re.compile(
    r"^(> |\s+report: |Pulling data|Unable to pull|WARNING: Some of the cache files|md5: |name: |Missing cache|To track"
    r"|\s*git add|To enable auto|\s*dvc config core.autostage|Use `dvc push`|Updating lock|Generating lock|WARNING: 'data'"
    r"|WARNING: '[^']+' is empty|Data and pipelines are up to date)"
)
_FULL = re.compile(r"no space left|disk quota exceeded|no possible cache link types", re.IGNORECASE)


class Dvc(Protocol):
    """What is needed of DVC."""

    def repro(
        self, targets: Sequence[str], *, pull: bool, force: bool, on_line: Callable[[str], None], alone: bool = False
    ) -> Log:
        """Reproduce the targets and what they depend on, or the targets `alone`."""

    def changed(self, targets: Sequence[str]) -> list[str]:
        """List the stages, upstream of the targets and themselves, whose inputs or outputs changed."""

    def push(self, targets: Sequence[str]) -> int:
        """Push outputs and run cache; return how many files moved."""

    def unpushed(self, targets: Sequence[str]) -> list[str]:
        """List outputs that dvc.lock names and the remote does not have."""


@dataclass(frozen=True)
class Wanted:
    """The options of `steps.repro`."""

    projects: tuple[str, ...] = ()
    only: str = "all"
    pull: bool = True
    push: bool = True
    remote: str | None = None
    force: bool = False
    dry_run: bool = False
    locked: bool = False


STAGES = ("ingest", "check_data", "prepare", "train", "evaluate", "bundle")
ONLY = {"data": "prepare", "all": "bundle"}
REPORTS = Path("reports")


def reproduce(dvc: Dvc, wanted: Wanted, say: Callable[[str], None], stale: Callable[[str], bool]) -> Result:
    """
    Run what changed, push what was made, and say what happened.

    `stale` says of a project whether its local sources changed, which DVC does not see (ADR 13).

    Raises:
        BadInput: a project is unknown.
        Unavailable: the remote did not answer.
    """
    projects = [project.find(name).name for name in wanted.projects] or project.names()
    chosen = [f"{ONLY[wanted.only]}@{name}" for name in projects]
    if wanted.locked:
        return told(Log(time.monotonic), {}, pushed=None, unpushed=dvc.unpushed(chosen), dry=True)
    if wanted.dry_run:
        changed = [*dvc.changed(chosen), *(f"ingest@{name}" for name in projects if stale(name))]
        return told(_forecast(changed, projects, ONLY[wanted.only]), {}, pushed=None, unpushed=[], dry=True)
    log = _run(dvc, wanted, projects, _shown(say), stale)
    reports = {stage.name: _report(stage.name) for stage in log.stages if stage.did in {Did.RAN, Did.FAILED}}
    pushed = dvc.push(chosen) if wanted.push and not log.errors else None
    return told(log, reports, pushed=pushed, unpushed=[], dry=False)


def _run(
    dvc: Dvc, wanted: Wanted, projects: Sequence[str], show: Callable[[str], None], stale: Callable[[str], bool]
) -> Log:
    """Read changed sources first; look again behind a run that took its data from the cache or the remote."""
    chosen, log = [f"{ONLY[wanted.only]}@{name}" for name in projects], Log(time.monotonic)
    first = [name for name in projects if stale(name)]
    _read_again(dvc, first, show, log)
    if not log.errors:
        log.add(dvc.repro(chosen, pull=wanted.pull, force=wanted.force, on_line=show))
    late = [] if log.errors else [name for name in projects if name not in first and stale(name)]
    _read_again(dvc, late, show, log)
    if late and not log.errors:
        log.add(dvc.repro(chosen, pull=wanted.pull, force=False, on_line=show))
    return log


def _read_again(dvc: Dvc, projects: Sequence[str], show: Callable[[str], None], log: Log) -> None:
    if projects:
        show(f"sources changed: {', '.join(projects)}")
        log.add(dvc.repro([f"ingest@{name}" for name in projects], pull=False, force=True, on_line=show, alone=True))


def _forecast(changed: Sequence[str], projects: Sequence[str], last: str) -> Log:
    """Say what would run: from the first changed stage of a project on, everything may."""
    log = Log(time.monotonic)
    for name in projects:
        stages = [f"{stage}@{name}" for stage in STAGES[: STAGES.index(last) + 1]]
        first = next((place for place, stage in enumerate(stages) if stage in changed), len(stages))
        log.stages += [Stage(stage, Did.RAN if place >= first else Did.UNCHANGED) for place, stage in enumerate(stages)]
    return log


def _shown(say: Callable[[str], None]) -> Callable[[str], None]:
    """Pass on what people want to see of DVC's output."""

    def show(text: str) -> None:
        if text.strip() and not _NOISE.match(text):
            say(text)

    return show


def _report(stage: str) -> dict[str, Any]:
    """Read what the stage's step reported; a step deletes its old report first, so that this one is fresh."""
    step, _, name = stage.partition("@")
    path = REPORTS / name / f"{step}.json"
    return dict(read_json(path)) if path.exists() else {}


_DRY = {Did.RAN: "would run, unless the run cache has it", Did.UNCHANGED: "would be skipped"}


def told(
    log: Log, reports: Mapping[str, Mapping[str, Any]], *, pushed: int | None, unpushed: Sequence[str], dry: bool
) -> Result:
    """
    Say how it went; `reports` holds the fresh report of each stage that ran, by stage name.

    `pushed` is None if nothing was to be pushed.
    """
    table = Table(
        "Stages",
        ("stage", "what happened", "seconds", "it says"),
        [
            (
                s.name,
                _DRY.get(s.did, s.did.value) if dry else s.did.value,
                round(s.seconds, 1),
                reports.get(s.name, {}).get("message", ""),
            )
            for s in log.stages
        ],
    )
    checks = [] if dry else [_stage_check(stage, reports.get(stage.name, {})) for stage in log.stages]
    counts = {did: sum(stage.did is did for stage in log.stages) for did in Did}
    facts = {did.value: count for did, count in counts.items() if count and not dry} | (
        {"files pushed": pushed} if pushed is not None else {}
    )
    if log.failed or log.errors:
        return _failure(log, reports, checks, facts, table)
    if unpushed:
        message = f"{len(unpushed)} outputs of dvc.lock are not in the remote: {', '.join(unpushed[:5])}"
        return Result(
            message, Outcome.BAD_INPUT, "somebody forgot `dvc push`, or pushed elsewhere", checks, facts, [table]
        )
    verb = "would run" if dry else "ran"
    message = ", ".join(
        part
        for count, part in (
            (counts[Did.RAN], f"{counts[Did.RAN]} stages {verb}"),
            (counts[Did.CACHED], f"{counts[Did.CACHED]} came from the run cache"),
            (counts[Did.UNCHANGED], f"{counts[Did.UNCHANGED]} were up to date"),
        )
        if count
    )
    return Result(message or "nothing to do", checks=checks, facts=facts, tables=[table])


def _stage_check(stage: Stage, report: Mapping[str, Any]) -> Check:
    outcome = Found.REJECTED if stage.did is Did.FAILED else Found.PASSED
    return Check(stage.name, outcome, f"{stage.did.value}. {report.get('message', '')}".strip())


def _failure(
    log: Log, reports: Mapping[str, Mapping[str, Any]], checks: list[Check], facts: dict[str, Any], table: Table
) -> Result:
    report = reports.get(log.failed or "", {})
    outcome = Outcome(report["outcome"]) if "outcome" in report else _outcome_of(log.errors)
    why = str(report.get("message") or (log.errors[-1] if log.errors else "no reason given"))
    message = f"{log.failed}: {why}" if log.failed else why
    hint = str(report.get("hint") or "") or _hint(log.errors)
    return Result(message, outcome if outcome is not Outcome.PASSED else Outcome.CRASHED, hint, checks, facts, [table])


def _outcome_of(errors: Sequence[str]) -> Outcome:
    """Judge by DVC's own words where no stage got to speak."""
    text = " ".join(errors).lower()
    if _FULL.search(text):
        return Outcome.UNAVAILABLE
    if any(
        word in text
        for word in ("lock", "remote", "unable to connect", "connection", "timed out", "checksum", "corrupted")
    ):
        return Outcome.UNAVAILABLE
    return Outcome.BAD_INPUT


def _hint(errors: Sequence[str]) -> str:
    text = " ".join(errors)
    if _FULL.search(text):  # DVC finds no way to link or copy, and does not say why
        return "is the disk full? make room and run again"
    if "missing from" in text and "params" in text.lower():
        return "write the section, if only as {}"
    return "run `dvc repro -v` to see what DVC did" if text else ""
