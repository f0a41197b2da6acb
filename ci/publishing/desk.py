"""What publishing works on and with: a checkout, the doors, and what will be committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ci.ledger.interface import By
    from ci.project import Project
    from ci.publishing.card import Card
    from ci.publishing.document import Document
    from ci.publishing.interface import Branch, DataLedger, Store
    from ci.publishing.versions import Proposal
    from ci.releases.dataset import DataVersion


@dataclass(frozen=True)
class Desk:
    """Who publishes where; `shared` says that others commit to the branch, too."""

    store: Store
    branch: Branch
    ledger: DataLedger
    by: By
    now: datetime
    shared: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Checkout:
    """What is to be published, as it lies in the working tree."""

    project: Project
    raw: Path
    check: Path
    report: Path
    lock: Path

    @property
    def name(self) -> str:
        """The project."""
        return self.project.name

    @property
    def params(self) -> Path:
        """The project's params."""
        return self.project.folder / "params.yaml"


@dataclass(frozen=True)
class Ready:
    """What will be committed and registered."""

    document: Document
    proposal: Proposal
    card: Card
    former: DataVersion | None

    @property
    def record(self) -> DataVersion:
        """Return the record."""
        return self.document.record
