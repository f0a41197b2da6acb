"""
Publishing: from checked rows to a data version that others can name, get and trust.

In an order in which a run may be killed anywhere: bytes to the remote, then a commit on a branch, then the ledger. What
is done already is recognized by the digest of the rows, so that the next run goes on, and the same rows never get a
second version. A rejected delivery changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.contract import plain
from ci.data.manifest import load_manifest
from ci.errors import BadInput
from ci.files import said_plainly, sha256_of
from ci.ledger.event import Kind
from ci.publishing import moved, telling
from ci.publishing.committing import pushed
from ci.publishing.desk import Ready
from ci.publishing.document import Document, document_at, document_of, path_of
from ci.publishing.verdict import Verdict, verdict_of
from ci.publishing.versions import Described, Proposal, described, propose
from ci.releases.dataset import DataVersion, dataset_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.data.manifest import Manifest
    from ci.ledger.event import Event
    from ci.ledger.history import History
    from ci.publishing.card import Card
    from ci.publishing.desk import Checkout, Desk
    from ci.report import Result


def publish(checkout: Checkout, desk: Desk, draw: Callable[[DataVersion | None, Proposal], Card]) -> Result:
    """
    Publish what lies in the checkout, if the data check agreed to it and nobody has published it before.

    `draw` makes the card: the newest version and what became of it in, pictures and pages out.

    Raises:
        BadInput: the checkout does not hang together, or says something else than its commit.
        Quicker: somebody else has published something meanwhile.
        Unavailable: the remote, of DVC or of Git, does not answer.
    """
    manifest = load_manifest(checkout.raw)
    _of_this_contract(checkout, manifest)
    verdict = verdict_of(manifest.version, checkout.check, checkout.report)
    history = desk.ledger.history(dataset_of(checkout.name)).trusted()
    new = described(checkout.project.contract, manifest)
    if verdict.answer != "passed":
        return _refused(checkout, desk, manifest, verdict, new, history, draw)
    if same := _same(history, new):
        return telling.there(same, newest(history))
    return _published(checkout, desk, manifest, verdict, new, history, draw)


def _refused(
    checkout: Checkout, desk: Desk, manifest: Manifest, verdict: Verdict, new: Described, history: History,
    draw: Callable[[DataVersion | None, Proposal], Card],
) -> Result:  # fmt: skip
    """Publish nothing; draw what arrived, so that its owner sees what is wrong with it."""
    last = newest_event(history)
    stays = last.data if last else None
    if not verdict.answer:
        return telling.unchecked(checkout.project, manifest, stays)
    former = document_of(desk.branch, last, checkout.name) if last else None
    proposal = propose(new, former.described if former else None, last.version if last else None)
    return telling.refused(checkout.project, manifest, verdict, stays, draw(stays, proposal))


def newest(history: History) -> DataVersion | None:
    """Return the newest data version of a ledger."""
    event = newest_event(history)
    return event.data if event else None


def newest_event(history: History) -> Event | None:
    """Return the registration of the newest data version."""
    versions = history.versions()
    return history.registered(versions[-1]) if versions else None


def _of_this_contract(checkout: Checkout, manifest: Manifest) -> None:
    if manifest.contract != sha256_of(plain(checkout.project.contract)):
        raise BadInput(f"{checkout.raw}: read under another contract than {checkout.project.folder}/contract.yaml",
                       hint=_again(checkout.name))  # fmt: skip
    if manifest.as_of != checkout.project.params.as_of.isoformat():
        raise BadInput(f"{checkout.raw}: as of {manifest.as_of}, {checkout.params} says {checkout.project.params.as_of}",
                       hint=_again(checkout.name))  # fmt: skip


def _same(history: History, new: Described) -> Event | None:
    events = (event for event in history.events if event.kind is Kind.REGISTERED and event.data)
    return next((event for event in events if event.data and event.data.content == new.content), None)


def _published(
    checkout: Checkout, desk: Desk, manifest: Manifest, verdict: Verdict, new: Described, history: History,
    draw: Callable[[DataVersion | None, Proposal], Card],
) -> Result:  # fmt: skip
    last = newest_event(history)
    _no_step_back(manifest, last.data if last else None)
    former = document_of(desk.branch, last, checkout.name) if last else None
    lock = _locked(checkout, desk)
    _committed(checkout, desk, lock)
    proposal = propose(new, former.described if former else None, last.version if last else None)
    tip = desk.branch.tip()
    pending = _pending(checkout, desk, tip, new, history)
    record = pending.record if pending else _record(checkout, desk, manifest, verdict, new, proposal, lock)
    before = former.record if former else None
    ready = Ready(Document(record=record, described=new), proposal, draw(before, proposal), before)
    if desk.dry_run:
        return telling.would(record, ready.card, desk.branch.place)
    desk.store.push(moved.stages_of(checkout.name))
    commit = desk.branch.last(str(tip), path_of(checkout.name)) if pending else pushed(checkout, desk, ready, lock, tip)
    event = desk.ledger.register_data(record, commit, desk.by, {"card": ready.card.digest, "check": verdict.digest})
    return telling.published(event, record, ready.card, desk.branch.place)


def _no_step_back(manifest: Manifest, last: DataVersion | None) -> None:
    if last and manifest.as_of < last.as_of:
        raise BadInput(f"as_of {manifest.as_of}: {last.name} is as of {last.as_of} already",
                       hint="an older state has a version of its own: python -m steps.datasets")  # fmt: skip


def _locked(checkout: Checkout, desk: Desk) -> bytes:
    """Return dvc.lock, which must be about exactly what lies here."""
    if stale := desk.store.changed(moved.stages_of(checkout.name)[-1:]):
        raise BadInput(f"dvc.lock: says something else than what lies here ({', '.join(stale[:3])})", hint=_again(checkout.name))  # fmt: skip
    with said_plainly(checkout.lock):
        return checkout.lock.read_bytes()


def _committed(checkout: Checkout, desk: Desk, lock: bytes) -> None:
    """Whoever checks the commit out must be able to make the same rows: nothing they come from may be of this tree alone."""
    head, params = desk.branch.head, checkout.params.as_posix()
    if loose := desk.branch.changed(head, moved.sources_of(lock, checkout.name)):
        raise BadInput(f"{', '.join(loose[:3])}: not as committed; a data version must be made by what its commit holds",
                       hint="commit it first, then run it again")  # fmt: skip
    there = desk.branch.read(head, params)
    if there is None:
        raise BadInput(f"{params}: not committed", hint="commit it first")
    if keys := moved.unlike(there, checkout.params.read_bytes(), params):
        raise BadInput(f"{params}: {', '.join(keys)}: not as committed; only as_of and source move by publishing",
                       hint="commit it first, then run it again")  # fmt: skip


def _pending(checkout: Checkout, desk: Desk, tip: str | None, new: Described, history: History) -> Document | None:
    """Return what a run that was killed has committed, but not registered."""
    found = document_at(desk.branch, tip, checkout.name) if tip else None
    if found and found.record.content == new.content and history.registered(found.record.version) is None:
        return found
    return None


def _record(
    checkout: Checkout, desk: Desk, manifest: Manifest, verdict: Verdict, new: Described, proposal: Proposal, lock: bytes
) -> DataVersion:  # fmt: skip
    return DataVersion(
        project=checkout.name,
        version=proposal.version,
        data_version=manifest.version,
        content=new.content,
        contract=manifest.contract,
        as_of=manifest.as_of,
        first=manifest.parts[0].period,
        last=manifest.parts[-1].period,
        periods=len(manifest.parts),
        rows=manifest.rows,
        watermark=manifest.watermark,
        raw=moved.raw_of(lock, checkout.name),
        verdict="passed",
        warnings=verdict.warnings,
        check=verdict.digest,
        why=proposal.why[:500],
        git_commit=desk.branch.head,
    )


def _again(project: str) -> str:
    return f"python -m steps.repro --project {project} --only data"
