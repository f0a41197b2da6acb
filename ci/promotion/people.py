"""Who has to agree, and whether somebody did: four eyes, approvals that name a digest and run out."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

from ci.ledger.event import moment_of
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ci.ledger.event import Event
    from ci.params_environments import Approvals


def same_person(one: str, other: str) -> bool:
    """Whether two names are of one person: upper case, full-width letters and spaces around make no other one."""
    return _plain(one) == _plain(other)


def four_eyes(
    policy: Approvals, requester: str, approver: str | None, given: Sequence[Event], now: datetime
) -> tuple[Check, str | None]:
    """
    Find who agreed: the named approver, or an approval in the ledger (`given`: of this digest and environment).

    Returns:
        The check, and the approver to be remembered.
    """
    if approver and same_person(approver, requester):
        outcome = Found.REJECTED if policy.four_eyes else Found.WARNED
        return Check("four eyes", outcome, f"{approver} asks and approves: that is one person twice"), approver
    if approver:
        return Check("four eyes", Found.PASSED, f"approved by {approver}"), approver
    valid = [event for event in given if _until(event, policy) >= now]
    others = [event for event in valid if not same_person(event.actor, requester)]
    if others:
        last = others[-1]
        return Check("four eyes", Found.PASSED, f"approved by {last.actor} at {last.when}"), last.actor
    if not policy.four_eyes:
        return Check("four eyes", Found.PASSED, "nobody else has to agree here"), None
    return _nobody(policy, requester, given, valid), None


def _nobody(policy: Approvals, requester: str, given: Sequence[Event], valid: Sequence[Event]) -> Check:
    """Say why nobody agreed: a wrong approval refuses; where there is none yet, a person has to be asked."""
    if valid:
        return Check("four eyes", Found.REJECTED, f"{requester} asks and approves: that is one person twice")
    if given:
        last = given[-1]
        why = f"the approval by {last.actor} expired at {_until(last, policy):%Y-%m-%dT%H:%M:%SZ}"
        return Check("four eyes", Found.REJECTED, why)
    why = f"nobody but {requester} has agreed yet; an approver is asked for here"
    return Check("four eyes", Found.INCONCLUSIVE, why)


def _until(event: Event, policy: Approvals) -> datetime:
    return moment_of(event.when) + timedelta(hours=policy.valid_hours)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
