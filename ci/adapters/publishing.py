"""Puts together what publishing and looking for data versions stand on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import dvc, fetch, floors, notifying, people
from ci.adapters.branches import GitBranch
from ci.adapters.collected import CollectorReader
from ci.adapters.refs import git
from ci.errors import BadInput, Outcome
from ci.params import parse
from ci.params_publishing import Publish
from ci.project import find
from ci.publishing import card
from ci.publishing.desk import Checkout, Desk
from ci.publishing.listing import listing
from ci.publishing.publish import publish
from ci.publishing.sparing import spare
from ci.publishing.verdict import verdict_of
from ci.releases.dataset import dataset_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.data.held import Held
    from ci.ledger.interface import By
    from ci.progress import Progress
    from ci.project import Project
    from ci.publishing.card import Card
    from ci.publishing.versions import Proposal
    from ci.releases.dataset import DataVersion
    from ci.report import Check, Result
    from ci.shared import Shared


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `steps.publish`."""

    branch: str | None = None
    actor: str | None = None
    reason: str = ""
    dry_run: bool = False


def published(project: Project, options: Options, shared: Shared, progress: Progress) -> Result:
    """
    Publish what lies in this checkout, and tell the owner how it ended.

    Raises:
        BadInput: this checkout cannot be published from, or an option is wrong.
        Unavailable: a remote does not answer, or somebody else was quicker.
    """
    by = people.by(options.actor, options.reason)
    dvc.initialised()
    checkout = Checkout(
        project, project.path("data", "raw"), project.path("data", "check.json"),
        project.path("reports", "check_data.json"), Path("dvc.lock"),
    )  # fmt: skip

    def draw(former: DataVersion | None, proposal: Proposal) -> Card:
        from ci.data.manifest import load_manifest

        manifest = load_manifest(checkout.raw)
        verdict = verdict_of(manifest.version, checkout.check, checkout.report)
        subject = card.Subject(project, checkout.raw, manifest, verdict, progress)
        return card.draw(subject, former, proposal, project.path("reports", "data_card"))

    with dvc.alone():
        result = publish(checkout, _desk(project, options, shared, by), draw)
        if result.outcome is Outcome.PASSED and not options.dry_run:
            result = result.because(checks=[*result.checks, *_spared(project, checkout)])
    version = result.data.get("name")
    about = notifying.About("data", project.name, None, by.actor, version)
    return notifying.told(result, about, shared, quiet=options.dry_run)


def _spared(project: Project, checkout: Checkout) -> list[Check]:
    """Let the collection service remove what is published, if the project's params ask for that."""
    taken_over = project.params.source.collector
    if taken_over is None:
        return []
    reader = CollectorReader(project, taken_over, fetch.cache_folder())

    def remove(held: Held) -> None:
        reader.client.remove(held)  # which needs an address only now

    return spare(project, lambda _: reader, lambda: reader.held, remove, checkout.raw)


def _desk(project: Project, options: Options, shared: Shared, by: By) -> Desk:
    ledger = floors.ledger(shared)
    own = f"data/{project.name}"
    named = parse(Publish, {"branch": options.branch}, "--branch").branch if options.branch else None
    branch = named or project.params.publish.branch or own
    if branch.endswith(".lock"):
        raise BadInput(f"--branch: {branch}: Git keeps this ending for itself")
    return Desk(
        dvc.DvcCommand(shared.remote), GitBranch(ledger.refs, branch), ledger, by, datetime.now(UTC), shared=branch != own, dry_run=options.dry_run,
    )  # fmt: skip


def listed(projects: Sequence[str], shared: Shared, *, offline: bool) -> Result:
    """
    List data versions.

    Raises:
        BadInput: no such project, no Git repository, or a ledger that cannot be trusted.
        Unavailable: the ledger's remote does not answer.
    """
    ledger = floors.ledger(shared)
    names = [find(name).name for name in projects] or list(shared.projects)
    found = {
        name: (ledger.history(dataset_of(name), offline=offline).trusted(), ledger.history(name, offline=offline).trusted())
        for name in names
    }  # fmt: skip
    return listing(found, datetime.now(UTC), _repository(ledger.refs.remote))


def _repository(remote: str | None) -> str:
    """Name the repository as others may: by the remote's URL, without a password that it may carry."""
    if remote is None:
        return "."
    url = git("remote", "get-url", remote, may_fail=True).out.strip()
    return re.sub(r"://[^/@\s]+@", "://", url) or "."
