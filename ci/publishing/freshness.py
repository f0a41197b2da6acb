"""
Freshness as an objective: is the newest data version as young and as whole as consumers were promised?

Asked by the clock on the wall, not by `as_of`: what nobody has collected is old, whatever the last build believed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from ci.data.periods import following, name_of
from ci.errors import BadInput
from ci.report import Check, Found, Result, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.params_publishing import Freshness
    from ci.project import Project
    from ci.publishing.versions import Described
    from ci.releases.dataset import DataVersion

_SHOWN = 6


def fresh(project: Project, last: DataVersion | None, rows: Described | None, now: datetime) -> Result:
    """Hold the newest data version to its promise at a moment; nothing published is a breach, nothing promised none."""
    promise = project.params.freshness
    if promise is None:
        message = f"{project.name}: nothing is promised (`freshness` in its params), so nothing was looked at"
        return Result(message, checks=[Check("age", Found.SKIPPED, message)], data={"moved": False})
    facts = {"newest version": last.name if last else None, "watermark": last.watermark if last else None,
             "now": now.isoformat(timespec="seconds")}  # fmt: skip
    checks = [_age(promise, last, now)]
    if last and rows and last.watermark:
        checks.append(_completeness(project, promise, rows, now))
    breached = [check.message for check in checks if check.outcome is Found.REJECTED]
    message = f"{project.name}: {'; '.join(breached) or checks[0].message}"
    hint = f"{project.contract.owner} promised otherwise; python -m steps.collect --project {project.name}"
    return Result(message, worst(checks), hint if breached else "", checks=checks, facts=facts,
                  data={"moved": bool(breached)})  # fmt: skip


def _age(promise: Freshness, last: DataVersion | None, now: datetime) -> Check:
    if last is None:
        return Check("age", Found.REJECTED, "no data version was published", None, promise.max_age_days)
    if last.watermark is None:
        return Check("age", Found.REJECTED, f"{last.name}: its rows have no event time, so nobody knows their age",
                     None, promise.max_age_days)  # fmt: skip
    age = (now - _moment(last.watermark)).total_seconds() / 86_400
    late = age > promise.max_age_days
    ahead = " (its newest row is later than this clock)" if age < 0 else ""
    message = f"the newest row of {last.name} is {age:.1f} days old{ahead}"
    message += f", promised are {promise.max_age_days:g}" if late else ""
    return Check("age", Found.REJECTED if late else Found.PASSED, message, round(age, 3), promise.max_age_days)


def _completeness(project: Project, promise: Freshness, rows: Described, now: datetime) -> Check:
    """Count the periods that ended so long ago that their rows should be there: which are there, whole and not empty?"""
    there = {item.period: item for item in rows.periods}
    due = _due(rows.periods[0].period, project.params.source.period, now - timedelta(days=promise.max_age_days))
    due = [name for name in due if not _between_eras(project, name)]
    if not due:
        return Check("completeness", Found.SKIPPED, "no period is due yet", None, promise.completeness)
    missing = [name for name in due if name not in there or not there[name].closed or not there[name].rows]
    share = 1 - len(missing) / len(due)
    short = share < promise.completeness
    gaps = f": {', '.join(missing[:_SHOWN])}{' …' if len(missing) > _SHOWN else ''} missing" if missing else ""
    message = f"{len(due) - len(missing)} of {len(due)} periods that are due are there{gaps}"
    return Check("completeness", Found.REJECTED if short else Found.PASSED, message, round(share, 4), promise.completeness,
                 n=len(due), extra={"missing": missing[:100]})  # fmt: skip


def _due(first: str, length: str, until: datetime) -> Sequence[str]:
    """Name the periods from the first on that ended by a moment."""
    names, day = [], _first_day(first)
    while (after := following(day, name_of(day, length))) <= until.date():
        names.append(name_of(day, length))
        day = after
    return names


def _first_day(period: str) -> date:
    if "-W" in period:
        year, week = period.split("-W")
        return date.fromisocalendar(int(year), int(week), 1)
    return date.fromisoformat({4: f"{period}-01-01", 7: f"{period}-01"}.get(len(period), period))


def _between_eras(project: Project, period: str) -> bool:
    """Say whether a period lies where no era of the source is: nobody ever promised rows of it."""
    day = _first_day(period)
    last = following(day, period) - timedelta(days=1)
    eras: Sequence[Mapping[str, date | None]] = [
        {"start": era.start, "end": era.end} for era in project.params.source.in_force
    ]
    return not any((era["start"] or day) <= last and (era["end"] is None or era["end"] > day) for era in eras)


def _moment(text: str) -> datetime:
    """Read an event time; rows are in UTC where they say nothing."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def moment(text: str | None, default: datetime) -> datetime:
    """
    Read `--now`: a date, or a moment in ISO 8601, UTC where it says nothing.

    Raises:
        BadInput: it is none.
    """
    if text is None:
        return default
    try:
        return _moment(text)
    except ValueError as error:
        raise BadInput(f"--now: {text[:60]!r} is no moment such as 2013-08-01 or 2013-08-01T06:00Z") from error
