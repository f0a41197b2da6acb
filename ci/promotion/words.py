"""What people add to the ledger without moving anything: marks and approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome
from ci.ledger.event import Kind, drafted
from ci.promotion.checks import known
from ci.report import Result

if TYPE_CHECKING:
    from ci.ledger.interface import By, Ledger


def mark(project: str, version: str, ledger: Ledger, by: By, *, bad: bool) -> Result:
    """
    Mark a release bad, or take that back; once more changes nothing.

    Raises:
        BadInput: no reason, no such version, or a ledger that cannot be trusted.
        Unavailable: the remote does not answer.
    """
    if not by.reason.strip():
        raise BadInput("--reason: missing: whoever is on call will want to know")
    history = ledger.history(project).trusted()
    release = known(history, version)
    word = "bad" if bad else "good"
    live = [name for name in {e.environment for e in history.events if e.environment}
            if (event := history.live(name)) and event.version == version]  # fmt: skip
    hint = f"it is live in {', '.join(sorted(live))}: python -m steps.rollback" if bad and live else ""
    if (history.bad(version) is not None) is bad:
        why = f" ({held.actor}: {held.reason})" if (held := history.bad(version)) else ""
        return Result(
            f"{release.name} is marked {word} already{why}" if bad else f"{release.name} bears no bad mark", hint=hint
        )
    kind = Kind.BAD if bad else Kind.GOOD
    event = ledger.add(drafted(release, kind=kind, actor=by.actor, reason=by.reason, build=by.build))
    return Result(str(event), hint=hint, data={"event": event.number})


def approve(project: str, version: str, environment: str, ledger: Ledger, by: By) -> Result:
    """
    Agree that a release, by its digest, enters an environment.

    Raises:
        BadInput: no such version, or a ledger that cannot be trusted.
        Unavailable: the remote does not answer.
    """
    history = ledger.history(project).trusted()
    release = known(history, version)
    if bad := history.bad(version):
        return Result(f"{release.name} was marked bad by {bad.actor}: {bad.reason}", Outcome.REJECTED)
    draft = drafted(
        release, kind=Kind.APPROVED, environment=environment, actor=by.actor, reason=by.reason, build=by.build
    )
    event = ledger.add(draft)
    return Result(str(event), facts={"digest": release.digest}, data={"event": event.number})
