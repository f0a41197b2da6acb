"""What `steps.check_data --freshness-only` stands on: the ledger's newest data version, and who is told of a breach."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.adapters import floors, notifying
from ci.adapters.branches import GitBranch
from ci.publishing import freshness as fresh_by
from ci.publishing.document import document_of
from ci.publishing.publish import newest_event
from ci.releases.dataset import dataset_of

if TYPE_CHECKING:
    from ci.project import Project
    from ci.report import Result
    from ci.shared import Shared


def freshness(project: Project, now: str | None, shared: Shared) -> Result:
    """
    Hold the newest data version to what is promised, and tell the owner of a breach.

    Raises:
        BadInput: `now` is no moment, or the ledger cannot be trusted.
        Unavailable: the ledger's remote does not answer.
    """
    moment = fresh_by.moment(now, datetime.now(UTC))
    ledger = floors.ledger(shared)
    event = newest_event(ledger.history(dataset_of(project.name)).trusted())
    branch = GitBranch(ledger.refs, "HEAD")
    document = document_of(branch, event, project.name) if event else None
    result = fresh_by.fresh(project, event.data if event else None, document.described if document else None, moment)
    about = notifying.About("data", project.name, None, release=event.name if event else None)
    return notifying.told(result, about, shared)
