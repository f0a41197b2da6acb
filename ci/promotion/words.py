"""What is added to the ledger without moving anything: marks, approvals, and how a release was found to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome
from ci.ledger.event import Kind, drafted
from ci.promotion.checks import known
from ci.report import Check, Found, Result
from ci.rollout.interface import Answer

if TYPE_CHECKING:
    from ci.ledger.history import History
    from ci.ledger.interface import By, Ledger
    from ci.rollout.interface import Question, Verdict


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


def remembered(question: Question, ledger: Ledger) -> History:
    """
    Return the ledger as it is before a look that shall be recorded.

    Raises:
        BadInput: the ledger knows no such release, or another one as live: then there is nothing to record about it.
        Unavailable: the remote does not answer.
    """
    release, place = question.candidate.release, question.environment
    history = ledger.history(release.project).trusted()
    stay = history.live(place)
    if known(history, release.version).digest != release.digest:
        raise BadInput(f"{release.name}: runs in {place} with another record than the ledger's")
    if stay is None or stay.version != release.version:
        there = f"{stay.name} is" if stay else "nothing is"
        raise BadInput(f"{release.name}: by the ledger not live in {place}: {there}",
                       hint="only a look at what is live is recorded")  # fmt: skip
    return history


def record(question: Question, verdict: Verdict, ledger: Ledger, by: By, seen: History) -> Check:
    """
    Add what a look found, with the digests of its evidence; one that found out nothing is not added.

    Raises:
        Quicker: something else has become live since.
        Unavailable: the remote does not answer.
    """
    if verdict.answer not in {Answer.WORSE, Answer.NOT_WORSE}:
        return Check("record", Found.SKIPPED, f"not recorded: {verdict.answer.value}")
    event = ledger.add(
        drafted(
            question.candidate.release, kind=Kind.VERIFIED, environment=question.environment, actor=by.actor,
            reason=by.reason, build=by.build, verified=verdict.answer is Answer.NOT_WORSE, evidence=dict(verdict.evidence),
        ),
        seen,
    )  # fmt: skip
    return Check("record", Found.PASSED, f"event {event.number} of the ledger ({ledger.place})")
