"""`datasets/<project>/version.json`: what a commit says of the data version that it publishes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from ci.errors import BadInput
from ci.files import to_json
from ci.params import Model, parse
from ci.publishing.versions import Described
from ci.releases.dataset import DataVersion

if TYPE_CHECKING:
    from ci.ledger.event import Event
    from ci.publishing.interface import Branch

LIMIT = 32 << 20  # bytes


class Document(Model):
    """The record, and what decides about the next version."""

    schema_version: Literal[1] = 1
    record: DataVersion
    described: Described

    def spelled(self) -> bytes:
        """Spell it as it is committed."""
        return to_json(self.model_dump(mode="json")).encode()


def folder_of(project: str) -> str:
    """Name the folder in which a commit keeps version and card."""
    return f"datasets/{project}"


def path_of(project: str) -> str:
    """Name the file."""
    return f"{folder_of(project)}/version.json"


def document_at(branch: Branch, commit: str, project: str) -> Document | None:
    """
    Read it at a commit; None if the commit has none.

    Raises:
        BadInput: it is there and not what we write.
    """
    raw, where = branch.read(commit, path_of(project)), f"{path_of(project)} at {commit[:10]}"
    if raw is None:
        return None
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise BadInput(f"{where}: not JSON ({error})") from error
    return parse(Document, found, where)


def document_of(branch: Branch, event: Event, project: str) -> Document:
    """
    Read it for a version of the ledger.

    Raises:
        BadInput: its commit has none, or one of another version.
    """
    found = document_at(branch, event.commit, project)
    if found is None or found.record.digest != event.release:
        raise BadInput(f"{event.name}: {path_of(project)} of its commit is {'missing' if found is None else 'of another version'}",
                       hint="docs/reference/ledger.md says how to look into it")  # fmt: skip
    return found
