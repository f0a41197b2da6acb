"""A release moves into the next environment: checks first, then traffic, then the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import Outcome, StepError
from ci.ledger.event import Kind, drafted
from ci.ledger.interface import Quicker
from ci.promotion.checks import Judged, asked, known, place_of
from ci.report import Check, Found, Result, deciding, worst

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ci.ledger.history import History
    from ci.params_environments import Environment, Strategy
    from ci.promotion.checks import Wish
    from ci.promotion.interface import Signatures
    from ci.promotion.records import Records
    from ci.rollout.interface import Actual, Moved, Running, Verifier


@dataclass(frozen=True)
class Floor:
    """Where it happens: the environments in promotion order, what runs in the target, and who looks at it."""

    order: Sequence[Environment]
    running: Running
    verifier: Verifier
    records: Records
    signatures: Signatures


def promote(
    project: str, wish: Wish, floor: Floor, *, strategy: Strategy | None = None, dry_run: bool = False
) -> Result:
    """
    Check everything; if nothing speaks against it, move the traffic and remember it.

    Raises:
        BadInput: an environment or a version that there is not.
        Unavailable: ledger, registry or environment do not answer; nothing was moved.
    """
    target = floor.order[place_of(wish.target, floor.order)]
    left_over = [] if dry_run else floor.records.settle(floor.running.actual)
    history = floor.records.ledger.history(project)
    now = floor.records.clock()
    if not history.doubts and (there := _there_already(project, wish, history, floor.running.actual())):
        return there.because(checks=[*left_over, *there.checks])
    judged = asked(wish, history, floor.order, floor.signatures, now)
    checks = [*left_over, *judged.checks, *_clock(history, now)]
    told = Result("", worst(checks), checks=checks, facts=_facts(wish, history, target, strategy),
                  data=_digest(history, wish))  # fmt: skip
    if told.outcome is not Outcome.PASSED:
        return _refused(told, wish, project)
    if dry_run:
        return told.because(message=f"{project}@v{wish.version} may enter {wish.target}; nothing was moved (--dry-run)")
    return _moved(project, wish, history, judged, told, floor, strategy or target.strategy)


def _moved(
    project: str, wish: Wish, history: History, judged: Judged, told: Result, floor: Floor, strategy: Strategy
) -> Result:
    release = known(history, wish.version)
    live = history.live(wish.target)
    draft = drafted(
        release, kind=Kind.ASSIGNED, environment=wish.target, actor=wish.actor, approver=judged.approver,
        reason=wish.reason, build=wish.build, how="promoted", former=live.version if live else None,
        packagings={name: item.digest for name, item in release.packagings.items()},
    )  # fmt: skip
    begun = floor.records.begin(draft)
    try:
        moved = floor.running.roll_out(release, strategy, floor.verifier, wish.actor)
    except StepError:
        floor.records.broke_off(begun, floor.running.actual)
        raise
    try:
        record = floor.records.end(begun, moved, history)
    except Quicker as error:
        return _lost(error, told, moved)
    return told_of(moved, told, record, f"{project}@v{wish.version} is live in {wish.target}")


def told_of(moved: Moved, told: Result, record: Check, message: str) -> Result:
    """Say how a movement ended, with everything that was checked and seen on the way."""
    checks = [*told.checks, *moved.checks, record]
    if moved.outcome is Outcome.PASSED:
        note = "" if record.outcome is Found.PASSED else f"; {record.message}"
        return told.because(message=f"{message}{_beyond(moved.message)}{note}", checks=checks, outcome=Outcome.PASSED)
    return told.because(message=moved.message, checks=checks, outcome=moved.outcome, hint=_NEXT.get(moved.outcome, ""))


_LIVE = re.compile(r"\S+@v\S+ is live(?: again)?(?=$|[; ])")


def _beyond(message: str) -> str:
    """Return what a movement says beyond that a release is live, which was just said."""
    found = _LIVE.match(message)
    return message[found.end() :] if found else f": {message}"


_NEXT = {
    Outcome.INCONCLUSIVE: "traffic stays where it is: run it again to go on, or `python -m steps.abort`",
    Outcome.ROLLED_BACK: "the former release has all traffic again; `python -m steps.mark` keeps people from this one",
    Outcome.NOT_RESTORED: "call somebody: `python -m steps.status` says what answers, docs/how-to/roll-back.md what to do",
}


def _there_already(project: str, wish: Wish, history: History, actual: Actual) -> Result | None:
    """Answer for a release that is live already, for the ledger and in fact; its version must be a registered one."""
    known(history, wish.version)
    live = history.live(wish.target)
    if live is None or live.version != wish.version or actual.live != wish.version:
        return None
    message = f"{project}@v{wish.version} is live in {wish.target} already, since {live.when} ({live.actor})"
    return Result(message, checks=[Check("already live", Found.PASSED, message)], data={"moved": False})


def _refused(told: Result, wish: Wish, project: str) -> Result:
    check = deciding(told.checks)
    why = f"{check.name}: {check.message}" if check else "no"
    message = f"{project}@v{wish.version} does not enter {wish.target}: {why}"
    return told.because(message=message, data={**told.data, "moved": False})


def _lost(error: Quicker, told: Result, moved: Moved) -> Result:
    check = Check("record", Found.INCONCLUSIVE, str(error))
    return told.because(
        message=str(error), hint=error.hint, outcome=error.outcome, checks=[*told.checks, *moved.checks, check]
    )


def _clock(history: History, now: datetime) -> list[Check]:
    odd = history.ahead_of(now)
    return [Check("clock", Found.WARNED, odd)] if odd else []


def _digest(history: History, wish: Wish) -> dict[str, str]:
    release = history.release(wish.version)
    return {"digest": release.digest} if release else {}


def _facts(wish: Wish, history: History, target: Environment, strategy: Strategy | None) -> dict[str, object]:
    live = history.live(target.name)
    release = history.release(wish.version)
    plan = strategy or target.strategy
    steps = ", ".join(f"{step.weight:g} %" for step in plan.steps) + ", 100 %" if plan.kind == "canary" else ""
    return {
        "release": f"{history.project}@v{wish.version}",
        "digest": release.digest[:12] if release else "unknown",
        "into": target.name,
        "in the place of": live.name if live else "nothing",
        "strategy": f"{plan.kind} {steps}".strip(),
        "asked by": wish.actor,
        "reason": wish.reason,
    }
