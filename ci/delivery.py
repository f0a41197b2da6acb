"""What a delivery pipeline asks before it judges and releases, and the one line that its build is described by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import Outcome
from ci.ledger.event import Kind
from ci.params import SERVICES
from ci.report import Check, Found, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ci.ledger.history import History
    from ci.releases.record import Release

LONGEST = 250  # characters of a description
_TOLD = ("repro", "publish", "gate", "package", "promote", "rollback", "verify", "reconcile")
_FINAL = (str(Outcome.ROLLED_BACK), str(Outcome.NOT_RESTORED))


@dataclass(frozen=True, slots=True)
class Bundled:
    """
    A bundle by digest, and what its ledger knows: a project's as it lies in artifacts/, a service's as it would be made now.

    `sources` are paths of what else goes into its release: a server, dependencies, a Dockerfile.
    """

    project: str
    bundle: str
    history: History
    sources: Sequence[str] = ()


def changed(found: Sequence[Bundled], first: str | None, same: Callable[[str | None, Sequence[str]], bool]) -> Result:
    """
    Name the projects, and services, that have something to judge and release.

    Args:
        found: the bundles.
        first: the environment that releases enter first; None where there are no environments.
        same: whether some paths are as they were at a commit; when in doubt, they are not.
    """
    due = {item.project: _due(item, first, same) for item in found}
    checks = [
        Check(item.project, Found.PASSED, due[item.project] or f"{item.bundle[:12]} was released and delivered before")
        for item in found
    ]
    names = [name for name, why in due.items() if why]
    message = f"something new in {', '.join(names)}" if names else "nothing to release"
    facts = {item.project: item.bundle[:12] for item in found}
    return Result(message, checks=checks, facts=facts, data={"projects": names})


def every(projects: Sequence[str]) -> Result:
    """Name every one of them."""
    return Result(f"all {len(projects)} of them", data={"projects": list(projects)})


def _due(item: Bundled, first: str | None, same: Callable[[str | None, Sequence[str]], bool]) -> str | None:
    """Say why a bundle is to be judged and released; None if that was done, to the end."""
    release = _released(item)
    if release is None:
        return f"{item.bundle[:12]} was never released"
    if not same(release.git_commit, item.sources):
        return f"{release.name} has this bundle, but its server or its dependencies have changed since"
    if first and not item.history.bad(release.version) and not _arrived(item.history, release.version, first):
        return f"{release.name} has this bundle, but was never live in {first}"
    return None


def _released(item: Bundled) -> Release | None:
    records = [event.record for event in item.history.events if event.kind is Kind.REGISTERED and event.record]
    return next((record for record in reversed(records) if record.bundle == item.bundle), None)


def _arrived(history: History, version: str, environment: str) -> bool:
    """Whether a release was live in an environment, or shipped there and failed: neither is to be done again unasked."""
    return any(
        event.kind is Kind.ASSIGNED or (event.kind is Kind.ABORTED and event.how.startswith(_FINAL))
        for event in history.events
        if (event.version, event.environment) == (version, environment)
    )


def described(reports: Mapping[str, Mapping[str, Any]], about_all: Mapping[str, Any]) -> str:
    """
    Describe a build in one line: release, data version, verdict and environment of each project.

    Args:
        reports: of each project, its reports by step; whatever is missing is left out.
        about_all: the reports about all projects, by step.
    """
    parts = [part for name, steps in sorted(reports.items()) if (part := _project(name, steps))]
    if not parts:
        parts = [_without_projects(about_all)]
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in "; ".join(parts)).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _without_projects(about_all: Mapping[str, Any]) -> str:
    for step in ("repro", "changed"):
        report = about_all.get(step)
        if report and report.get("outcome") != Outcome.PASSED:
            return f"{step} {report.get('outcome')}: {report.get('message')}"
    return str(about_all["changed"].get("message")) if "changed" in about_all else "no reports"


def _project(name: str, steps: Mapping[str, Any]) -> str | None:
    told = [steps[step] for step in _TOLD if step in steps]
    if not told:
        return None
    last = max(told, key=lambda report: str(report.get("finished", "")))
    data = "" if name in SERVICES else _data(steps)
    facts = [_release(name, steps), data, f"{last.get('step')} {last.get('outcome')}", _where(steps)]
    return ", ".join(fact for fact in facts if fact)


def _release(name: str, steps: Mapping[str, Any]) -> str:
    version = _at(steps, "package", "data", "release", "version")
    if version:
        return f"{name} v{version}"
    for step, fact in (("rollback", "to"), ("promote", "release"), ("verify", "release")):
        if found := _at(steps, step, "facts", fact):
            return str(found).replace("@", " ")
    bundle = _at(steps, "gate", "data", "challenger")
    return f"{name} bundle {str(bundle)[:12]}" if bundle else name


def _data(steps: Mapping[str, Any]) -> str:
    if published := _at(steps, "publish", "data", "name"):
        return f"data v{str(published).rpartition('@v')[2]}"
    found = _at(steps, "package", "data", "release", "data_version") or _at(steps, "artifact", "data", "version")
    return f"data {str(found)[:12]}" if found else ""


def _where(steps: Mapping[str, Any]) -> str:
    for step, fact in (("rollback", "in"), ("promote", "into"), ("verify", "in")):
        if found := _at(steps, step, "facts", fact):
            return str(found)
    return ""


def _at(document: Any, *keys: str) -> Any:
    """Follow keys through nested mappings; None as soon as one is missing."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document
