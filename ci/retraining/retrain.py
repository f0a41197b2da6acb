"""
From an incident to a retraining: once, however often it is seen, and kept before anybody is asked.

A step that dies, or a Jenkins that is away, leaves an attempt that the next run goes on with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome, Unavailable
from ci.files import sha256_of
from ci.report import Check, Found, Result, deciding, worst
from ci.retraining.cases import Attempt
from ci.retraining.incidents import Nothing, incident_of
from ci.retraining.interface import Wanted
from ci.retraining.rules import guards

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from ci.params_retraining import Retraining
    from ci.retraining.cases import Case, CaseKeeper, Cases, Incident
    from ci.retraining.interface import Data, Starter
    from ci.watching.state import Memory

ENDS = {
    "passed": Outcome.PASSED, "rejected": Outcome.REJECTED, "inconclusive": Outcome.INCONCLUSIVE,
    "failed": Outcome.UNAVAILABLE, "asked": Outcome.INCONCLUSIVE, "running": Outcome.INCONCLUSIVE,
}  # fmt: skip


@dataclass(frozen=True)
class Trigger:
    """What a trigger stands on; `live` is the version that the ledger says is live, `born` when each was registered."""

    memory: Memory
    keeper: CaseKeeper
    data: Data
    starter: Starter
    policy: Retraining
    clock: Callable[[], datetime]
    live: str | None
    born: dict[str, datetime]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person or a schedule wants of it."""

    as_of: date
    given: Incident | None = None
    close: bool = False
    wait: bool = True
    dry_run: bool = False


def retrain(project: str, trigger: Trigger, asked: Asked) -> Result:
    """
    Go on with what is open; else start a retraining if there is a reason and nothing holds it back.

    Raises:
        BadInput: what was kept cannot be read, or the request was refused.
        Unavailable: who should do it does not answer; the attempt is kept, and the next run goes on with it.
    """
    now = trigger.clock()
    cases = _closed_by_events(trigger.keeper.read(), trigger, now, by_hand=asked.close)
    if not asked.dry_run:
        trigger.keeper.write(cases)
    if asked.close:
        return Result(f"{project}: no incident is open any more")
    if (case := cases.open()) and not case.attempt.ended:
        if asked.dry_run:
            return Result(
                f"{case.incident.key}: would go on with what was asked for (--dry-run)", checks=[check_of(case.attempt)]
            )
        return _gone_on(project, trigger, cases, case, asked)
    known = [item.incident.key for item in cases.cases]
    found = asked.given or incident_of(trigger.memory, trigger.policy, now, known)
    if asked.given and asked.given.cause == "data" and _learned(cases, asked.given.key):
        found = Nothing(f"{asked.given.key} was learned from already")
    if isinstance(found, Nothing):
        return _nothing(found, case)
    return _judged(project, trigger, cases, found, asked)


def _closed_by_events(cases: Cases, trigger: Trigger, now: datetime, *, by_hand: bool) -> Cases:
    """Close what is open once a release that is younger than the incident is live; new data is no fault that stays."""
    case = cases.open()
    if case is None:
        return cases
    if case.incident.cause == "data" and case.attempt.ended:
        return cases.closing(case.attempt.at)
    born = trigger.born.get(trigger.live) if trigger.live else None
    ill = trigger.born.get(case.incident.version)
    # Both are asked: the ledger gives each event a second of its own, so right after many its clock is ahead of ours.
    younger = born is not None and born > case.attempt.at and (ill is None or born > ill) and case.attempt.ended
    return cases.closing(now) if by_hand or younger else cases


def _learned(cases: Cases, key: str) -> bool:
    """Whether a data version was tried before, and the trial did not come to nothing for want of what it needed."""
    return any(item.incident.key == key and item.attempt.status != "failed" for item in cases.cases)


def _nothing(found: Nothing, case: Case | None) -> Result:
    if case is None:
        return Result(f"nothing to do: {found.why}", checks=[Check("incident", Found.PASSED, found.why)])
    outcome = Outcome.PASSED if case.attempt.status == "passed" else Outcome.INCONCLUSIVE
    message = f"{case.incident.key} was seen to already: {case.attempt.status}: {case.attempt.told}"
    return Result(message, outcome, _OPEN, checks=[check_of(case.attempt)], data={"started": False})


_OPEN = "it stays open until a younger release is live; --close closes it by hand"


def _judged(project: str, trigger: Trigger, cases: Cases, incident: Incident, asked: Asked) -> Result:
    if incident.cause == "code":  # the source need not be asked for this
        check = Check("cause", Found.REJECTED, "a fault of the code: learning anew does not mend it")
        return Result(f"{incident.key}: {check.message}", Outcome.INCONCLUSIVE, checks=[check], data={"started": False})
    now = trigger.clock()
    fresh = trigger.data.fresh(incident.version, asked.as_of)
    checks = [Check("incident", Found.WARNED, incident.why), *guards(incident, cases, fresh, trigger.policy, now)]
    if worst(checks) is not Outcome.PASSED:
        held = deciding(checks)
        told = f"{incident.key}: nothing was started: {held.name if held else ''}: {held.message if held else ''}"
        return Result(told, Outcome.INCONCLUSIVE, checks=checks, data={"started": False})
    if asked.dry_run or not trigger.policy.enabled:
        why = "--dry-run" if asked.dry_run else "retraining.enabled is false"
        return Result(f"{incident.key}: would be learned anew as of {asked.as_of} ({why})", checks=checks)
    request = sha256_of([project, incident.key, incident.at.isoformat(), str(asked.as_of), now.isoformat()])
    cases = cases.opening(incident, Attempt(request=request, at=now, as_of=asked.as_of))
    trigger.keeper.write(cases)
    case = cases.open()
    if case is None:
        raise BadInput(f"{incident.key}: could not be kept")
    result = _gone_on(project, trigger, cases, case, asked)
    return result.because(checks=[*checks, *result.checks])


def _gone_on(project: str, trigger: Trigger, cases: Cases, case: Case, asked: Asked) -> Result:
    known = [case.attempt]

    def keep(attempt: Attempt) -> None:
        known.append(attempt)
        trigger.keeper.write(cases.attempting(attempt))

    wanted = Wanted(project, case.attempt.request, case.attempt.as_of, case.incident.why,
                    trigger.policy.jenkins.parameters)  # fmt: skip
    try:
        attempt = trigger.starter.go_on(wanted, case.attempt, keep, wait=asked.wait)
    except BadInput as error:
        keep(known[-1].model_copy(update={"status": "failed", "told": str(error)[:1000]}))
        raise
    except Unavailable as error:
        raise Unavailable(
            f"{case.incident.key}: {error}", hint="it is kept: run this again to go on with it"
        ) from error
    keep(attempt)
    return _ended(case.model_copy(update={"attempt": attempt}), trigger, asked)


def _ended(case: Case, trigger: Trigger, asked: Asked) -> Result:
    attempt = case.attempt
    outcome = ENDS[attempt.status]
    if not attempt.ended and not asked.wait:
        outcome = Outcome.PASSED  # who does not want to wait has what was asked for
    facts = {"incident": case.incident.key, "cause": case.incident.cause, "why": case.incident.why, "by": trigger.starter.place,
             "as of": str(attempt.as_of), "request": attempt.request, "build": attempt.build or "none yet"}  # fmt: skip
    hint = "" if outcome is Outcome.PASSED else _OPEN
    data = {"started": True, "status": attempt.status, "incident": case.incident.key, "request": attempt.request}
    return Result(
        f"{case.incident.key}: {attempt.status}: {attempt.told}",
        outcome,
        hint,
        checks=[check_of(case.attempt)],
        facts=facts,
        data=data,
    )


def check_of(attempt: Attempt) -> Check:
    """Say how a retraining stands."""
    found = {"passed": Found.PASSED, "rejected": Found.REJECTED, "failed": Found.REJECTED}
    return Check("retraining", found.get(attempt.status, Found.INCONCLUSIVE), attempt.told or attempt.status)
