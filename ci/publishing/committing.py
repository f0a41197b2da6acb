"""The commit that publishes: on which ground, what it replaces, and what becomes of it when others push, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.ledger.interface import Quicker
from ci.publishing import moved
from ci.publishing.document import document_at, folder_of, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.publishing.desk import Checkout, Desk, Ready
    from ci.publishing.interface import Branch

TRAILER = "Slipway-Data"
_TRIES = 3


def pushed(checkout: Checkout, desk: Desk, ready: Ready, lock: bytes, tip: str | None) -> str:
    """Commit and move the branch; again on what others have committed meanwhile, unless that was a data version, too."""
    seen = _known(desk.branch, tip, checkout.name)
    for _ in range(_TRIES):
        if _known(desk.branch, tip, checkout.name) != seen:
            raise Quicker(f"{desk.branch.place}: somebody else was quicker: it has another data version of {checkout.name} now",
                          hint="run it again; what is published already is recognized")  # fmt: skip
        parents, base = _grounds(desk, tip)
        files = _files(checkout, desk, ready, lock, base)
        commit = desk.branch.commit(parents, base, files, _message(ready, desk), int(desk.now.timestamp()))
        if desk.branch.push(commit, tip):
            return commit
        tip = desk.branch.tip()
    raise Quicker(f"{desk.branch.place}: {_TRIES} times somebody else pushed first", hint="run it again")


def _known(branch: Branch, tip: str | None, project: str) -> str | None:
    found = document_at(branch, tip, project) if tip else None
    return found.record.digest if found else None


def _grounds(desk: Desk, tip: str | None) -> tuple[list[str], str]:
    """
    Choose parents and tree: what the branch holds, or this checkout's commit where that is newer.

    Raises:
        BadInput: others commit to the branch, and this checkout has commits that they do not know.
    """
    head = desk.branch.head
    if tip is None:
        return [head], head
    if desk.branch.holds(tip, head):
        return [tip], tip
    if desk.shared:
        raise BadInput(f"HEAD {head[:10]} is not part of {desk.branch.place}: publishing would bring its commits along",
                       hint="push or merge them first, or fetch the whole history")  # fmt: skip
    return ([head] if desk.branch.holds(head, tip) else [tip, head]), head


def _files(checkout: Checkout, desk: Desk, ready: Ready, lock: bytes, base: str) -> Mapping[str, bytes]:
    """Return what the commit replaces in the tree of `base`."""
    params, ours = checkout.params.as_posix(), checkout.params.read_bytes()
    there, head = desk.branch.read(base, params), desk.branch.head
    if there is not None and base != head:
        keys = moved.unlike(there, ours, params)
        if desk.shared and there != desk.branch.read(head, params):
            keys = keys or ["source"]
        if keys:
            raise BadInput(f"{params}: {', '.join(keys)}: on {desk.branch.place} it is another one than in this checkout",
                           hint="bring the checkout up to date, then run it again")  # fmt: skip
    folder = folder_of(checkout.name)
    return {
        params: ours,
        checkout.lock.as_posix(): moved.lock_of(desk.branch.read(base, checkout.lock.as_posix()), lock, checkout.name),
        path_of(checkout.name): ready.document.spelled(),
        **{f"{folder}/{name}": data for name, data in ready.card.files.items()},
    }


def _message(ready: Ready, desk: Desk) -> str:
    record, by = ready.record, desk.by
    said = f"{by.actor}: {by.reason}" if by.reason else by.actor
    return (
        f"Data {record.name}: {record.why}\n\n"
        f"{record.rows:,} rows of {record.first} to {record.last}, as of {record.as_of}; the data check passed.\n"
        f"Published by {' '.join(said.split())}. [skip ci]\n\n"  # on one line, so that no word is a trailer
        f"{TRAILER}: {record.name}\n"
    )
