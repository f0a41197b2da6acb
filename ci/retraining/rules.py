"""What holds a retraining back: pure functions of the cases so far and of the data that there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ci.report import Check, Found

if TYPE_CHECKING:
    from datetime import date, datetime

    from ci.params_retraining import Retraining
    from ci.retraining.cases import Cases, Incident

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a retraining would learn from: the release's as_of, the new one, and the rows that lie between."""

    former: date | None
    as_of: date
    rows: int
    source: str = ""


def guards(incident: Incident, cases: Cases, fresh: Fresh, policy: Retraining, now: datetime) -> list[Check]:
    """Ask everything that must be so before a retraining starts; a rejected check holds it back."""
    return [
        _cause(incident),
        _open(cases),
        _cooldown(cases, policy, now),
        _budget(cases, policy, now),
        _newer(fresh, policy),
    ]


def _cause(incident: Incident) -> Check:
    if incident.cause == "code":
        return Check("cause", Found.REJECTED, "a fault of the code: learning anew does not mend it")
    return Check("cause", Found.PASSED, incident.cause)


def _open(cases: Cases) -> Check:
    case = cases.open()
    if case is None:
        return Check("open incident", Found.PASSED, "none")
    told = f"{case.incident.key} is open since {case.attempt.at:%Y-%m-%d %H:%M} UTC: {case.attempt.status}"
    return Check("open incident", Found.REJECTED, told)


def _cooldown(cases: Cases, policy: Retraining, now: datetime) -> Check:
    if not cases.cases:
        return Check("cooldown", Found.PASSED, "nothing was started yet")
    last = max(case.attempt.at for case in cases.cases)
    until = last + timedelta(seconds=policy.cooldown_s)
    if now < until:
        return Check(
            "cooldown",
            Found.REJECTED,
            f"the last start was {last:%Y-%m-%d %H:%M} UTC: wait until {until:%Y-%m-%d %H:%M} UTC",
        )
    return Check("cooldown", Found.PASSED, f"the last start was {last:%Y-%m-%d %H:%M} UTC")


def _budget(cases: Cases, policy: Retraining, now: datetime) -> Check:
    spent = sum(case.attempt.at > now - _DAY for case in cases.cases)  # a start in the future counts: clocks go wrong
    found = Found.PASSED if spent < policy.daily else Found.REJECTED
    return Check(
        "daily budget", found, f"{spent} of {policy.daily} starts in 24 hours", observed=spent, limit=policy.daily
    )


def _newer(fresh: Fresh, policy: Retraining) -> Check:
    if fresh.former is None:
        return Check(
            "newer data", Found.REJECTED, f"nobody knows what the release was learned from {fresh.source}".strip()
        )
    days = (fresh.as_of - fresh.former).days
    if days < policy.new_days or days <= 0:
        told = f"the release knows everything before {fresh.former}, as_of would be {fresh.as_of}"
        return Check("newer data", Found.REJECTED, told, observed=days, limit=policy.new_days)
    told = f"{fresh.rows:,} rows from {fresh.former} on, before {fresh.as_of}"
    found = Found.PASSED if fresh.rows >= policy.new_rows else Found.REJECTED
    return Check("newer data", found, told, observed=fresh.rows, limit=policy.new_rows)
