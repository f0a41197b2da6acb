"""Puts together what promotion and rollback work with: ledger, environments, registry, queue."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import ledger as ledgers
from ci.adapters.keys import signer_if_any, trusted
from ci.adapters.queue import FolderQueue
from ci.adapters.signatures import RegistrySignatures
from ci.errors import BadInput
from ci.files import read_json
from ci.ledger.signing import only_by
from ci.promotion.checks import place_of
from ci.promotion.promote import Floor
from ci.promotion.records import Records
from ci.promotion.telling import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.adapters.ledger import GitLedger
    from ci.ledger.history import History
    from ci.params_environments import Environment
    from ci.report import Check
    from ci.rollout.interface import Actual, Running, Verifier
    from ci.shared import Shared

AT_NIGHT_S = 5.0  # a rollback does not wait for a remote that is gone


def ledger(shared: Shared, timeout_s: float = 60.0) -> GitLedger:
    """
    Open the ledger; it signs if there is a key, and believes only trusted ones if `signing.trusted` names any.

    Raises:
        BadInput: no Git repository, or a key that is none.
    """
    known = None
    if shared.signing.trusted:
        keys = {key.fingerprint: key for key in trusted(shared.signing)}
        known = only_by(lambda name, signature, data: name in keys and keys[name].signed(data, signature))
    return ledgers.found(timeout_s, remote=shared.ledger.remote, signer=signer_if_any(shared.signing), known=known)


def floor(
    project: str,
    environment: str,
    shared: Shared,
    *,
    timeout_s: float = 60.0,
    say: Callable[[str], None] = lambda _text: None,
) -> Floor:
    """
    Put together what one project's movements in one environment need; `say` tells people how far a rollout is.

    Raises:
        BadInput: there is no such environment.
    """
    shared = shared.of(project)
    target = _environment(environment, shared)
    return Floor(
        shared.environments,
        _running(project, target, shared, say=say),
        _verifier(project, target, shared, say),
        records(project, target, shared, timeout_s=timeout_s),
        RegistrySignatures(shared),
    )


def ground(project: str, environment: str, shared: Shared, *, timeout_s: float) -> tuple[Running, Records]:
    """
    Put together what a rollback needs: neither registry nor monitoring.

    Raises:
        BadInput: there is no such environment.
    """
    target = _environment(environment, shared)
    return _running(project, target, shared), records(project, target, shared, timeout_s=timeout_s)


def records(project: str, environment: Environment, shared: Shared, *, timeout_s: float = 60.0) -> Records:
    """Put together where one project's movements in one environment are remembered."""
    queue = FolderQueue.of(environment.root, environment.name, project)
    return Records(ledger(shared, timeout_s), queue, lambda: datetime.now(UTC))


def settle(project: str, environment: Environment, shared: Shared, actual: Callable[[], Actual]) -> list[Check]:
    """Tell the ledger what waits for it; where nothing does, it is not even opened: there may be none."""
    queue = FolderQueue.of(environment.root, environment.name, project)
    return records(project, environment, shared).settle(actual) if queue.waiting() else []


def places(shared: Shared, projects: Sequence[str], environment: str | None) -> list[Place]:
    """
    List where to look: every project in every environment, or in one.

    Raises:
        BadInput: there is no such environment.
    """
    chosen = [_environment(environment, shared)] if environment else shared.environments
    return [
        Place(name, item.name, lambda name=name, item=item: _running(name, item, shared).actual(),  # type: ignore[misc]
              FolderQueue.of(item.root, item.name, name))
        for name in projects for item in chosen
    ]  # fmt: skip


def histories(ledger: GitLedger, projects: Sequence[str]) -> tuple[dict[str, History], dict[str, Any]]:
    """Read the ledgers of some projects; where the remote does not answer, as this clone knows them, and why."""
    from ci.errors import Unavailable

    read: dict[str, History] = {}
    unread: dict[str, Any] = {}
    for name in projects:
        try:
            read[name] = ledger.history(name)
        except Unavailable as error:
            read[name], unread[name] = ledger.history(name, offline=True), error
    return read, unread


def wanted(text: str | None, project: str, target: str, shared: Shared) -> str:
    """
    Read what is to be promoted: a release's name, `packaged` (by this checkout), or None (what is live below).

    Raises:
        BadInput: it is none, nothing was packaged here, or nothing is live below.
        Unavailable: the ledger's remote does not answer.
    """
    if text == "packaged":
        return packaged(project)
    if text is not None:
        return version(text, project)
    place = place_of(target, shared.environments)
    if place == 0:
        raise BadInput(f"--release: missing: {target} is the first environment", hint="such as v1.4.0, or packaged")
    below = shared.environments[place - 1].name
    live = ledger(shared).history(project).live(below)
    if live is None:
        raise BadInput(
            f"--release: missing, and nothing of {project} is live in {below}", hint="promote it there first"
        )
    return live.version


def packaged(project: str) -> str:
    """
    Return the version of the release that `steps.package` made, or found, in this checkout.

    Raises:
        BadInput: it made none.
    """
    path = Path("reports", project, "package.json")
    again = f"python -m steps.package --project {project}"
    if not path.is_file():
        raise BadInput(f"--release: packaged: {path} is missing: nothing was packaged here", hint=again)
    report = read_json(path)
    found = report.get("data", {}).get("release", {}).get("version")
    if found is None:
        raise BadInput(f"--release: packaged: {path}: {report.get('outcome')}, no release", hint=again)
    return version(str(found), project)


def version(text: str, project: str) -> str:
    """
    Read a release's name: v1.4.0, 1.4.0 or flights@v1.4.0.

    Raises:
        BadInput: it is none, or one of another project.
    """
    import re

    found = re.fullmatch(r"(?:(?P<project>[a-z0-9_]+)@)?v?(?P<version>\d{1,9}(?:\.\d{1,9}){2})", text.strip(), re.ASCII)
    if not found or (found["project"] or project) != project:
        raise BadInput(f"--release: {text[:80]!r} is no release of {project}", hint="such as v1.4.0")
    return found["version"]


def _environment(name: str, shared: Shared) -> Environment:
    return shared.environments[place_of(name, shared.environments)]


def _running(project: str, environment: Environment, shared: Shared, **how: Any) -> Running:
    running: Running = _machinery().running(project, environment, shared, **how)
    return running


def _verifier(project: str, environment: Environment, shared: Shared, say: Callable[[str], None]) -> Verifier:
    """Return who looks at a candidate: statistics where they are there, else a check of its health."""
    made = getattr(_machinery(), "verifier", None)
    verifier: Verifier = made(project, environment, shared, say) if made else _machinery().health()
    return verifier


def _machinery() -> Any:
    return importlib.import_module("ci.adapters.environments")
