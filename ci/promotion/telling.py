"""What the ledger and the environments tell: what was live when, and whether it is what runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import Outcome, StepError
from ci.ledger.event import Kind, spelled
from ci.promotion.checks import ledger as ledger_check
from ci.report import Check, Found, Result, Table, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ci.ledger.event import Event
    from ci.ledger.history import History
    from ci.promotion.interface import Queue
    from ci.rollout.interface import Actual


@dataclass(frozen=True)
class Place:
    """One project in one environment, and how to look at it."""

    project: str
    environment: str
    actual: Callable[[], Actual]
    queue: Queue


def status(places: Sequence[Place], histories: dict[str, History], unread: dict[str, StepError]) -> Result:
    """
    Hold what should run against what runs, everywhere.

    Args:
        places: In the order in which they are told.
        histories: By project.
        unread: Projects whose ledger was only read as this clone knows it, and why.
    """
    checks = [
        _named(name, ledger_check(history)) for name, history in histories.items() if history.events or history.doubts
    ]
    checks += [
        Check(f"{name}: ledger", Found.WARNED, f"{error}: told as this clone knows it")
        for name, error in unread.items()
    ]
    rows, silent = [], False
    for place in places:
        seen = _look(place, histories[place.project])
        rows.append(seen)
        checks.append(seen["check"])
        silent = silent or seen["answers"] is False
    outcome = worst(checks)
    if outcome is Outcome.PASSED and silent:
        outcome = Outcome.UNAVAILABLE
    off = [row for row in rows if row["drift"]]
    message = f"{len(rows) - len(off)} of {len(rows)} run as the ledger says" if rows else "no environments"
    if off:
        message += f"; {off[0]['project']} in {off[0]['environment']}: {off[0]['drift'][0]}"
    data = {"places": [{key: value for key, value in row.items() if key != "check"} for row in rows]}
    return Result(message, outcome, _HINT if off else "", checks=checks, tables=[_table(rows)], data=data)


_HINT = "`python -m steps.reconcile` settles what is left over; docs/how-to/roll-back.md has the rest"


def _look(place: Place, history: History) -> dict[str, Any]:
    event = history.live(place.environment)
    intended = event.version if event else None
    row: dict[str, Any] = {"project": place.project, "environment": place.environment, "intended": intended,
                           "since": event.when if event else None, "by": event.actor if event else None}  # fmt: skip
    name = f"{place.project}: {place.environment}"
    waiting = len(place.queue.waiting())
    try:
        actual = place.actual()
    except StepError as error:
        check = Check(name, Found.SKIPPED, f"does not answer: {error}")
        return {**row, "actual": None, "answers": False, "weights": {}, "door": None, "held_by": None, "waiting": waiting,
                "drift": [f"does not answer: {error}"], "check": check}  # fmt: skip
    drift = _drift(intended, actual, waiting)
    outcome = Found.REJECTED if drift else Found.PASSED
    message = "; ".join(drift) or (f"v{intended} runs" if intended else "nothing runs, as intended")
    if actual.held_by:
        outcome = Found.WARNED if outcome is Found.PASSED else outcome
        message += f"; a rollout is going on ({actual.held_by})"
    return {**row, "actual": actual.live, "answers": True, "weights": dict(actual.weights), "door": actual.door,
            "held_by": actual.held_by, "waiting": waiting, "drift": drift,
            "check": Check(name, outcome, message)}  # fmt: skip


def _drift(intended: str | None, actual: Actual, waiting: int) -> list[str]:
    told = list(actual.drift)
    if actual.live != intended:
        runs = f"v{actual.live} runs" if actual.live else "nothing runs"
        told.insert(0, f"{runs}, the ledger says {f'v{intended}' if intended else 'nothing'}")
    if waiting:
        told.append(f"{waiting} event{'s' if waiting > 1 else ''} not in the ledger yet")
    return told


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    cells = [
        (row["project"], row["environment"], _v(row["intended"]), _v(row["actual"]), row["since"] or "", row["by"] or "",
         row["door"] or "", "; ".join(row["drift"]))
        for row in rows
    ]  # fmt: skip
    return Table("What runs", ("project", "environment", "intended", "actual", "since", "by", "door", "drift"), cells)


def _v(version: str | None) -> str:
    return f"v{version}" if version else "–"


def _named(project: str, check: Check) -> Check:
    return Check(f"{project}: {check.name}", check.outcome, check.message, n=check.n, extra=check.extra)


def told(history: History, environments: Sequence[str], at: datetime | None, only: str | None) -> Result:
    """Tell a project's history: all of it, or what was live at a moment."""
    check = ledger_check(history)
    names = (
        [only]
        if only
        else list(dict.fromkeys([*environments, *(e.environment for e in history.events if e.environment)]))
    )
    then = history.at(at) if at else history
    live = {name: then.live(name) for name in names}
    events = [e for e in then.events if only is None or e.environment in {None, only}]
    when = f"at {spelled(at)}" if at else "now"
    said = ", ".join(f"{name} {_v(event.version if event else None)}" for name, event in live.items())
    result = Result(
        f"{history.project} {when}: {said or 'nothing was released'}",
        Outcome.REJECTED if history.doubts else Outcome.PASSED,
        checks=[check],
        facts={"ledger": "; ".join(history.notes) or "as the remote has it", "events": len(events)},
        tables=[_live_table(then, live, when), _events_table(events)],
        data={
            "live": {name: _event(then, event) for name, event in live.items()},
            "events": [_event(then, e) for e in events],
        },
    )
    if history.doubts:
        return result.because(
            message=f"{result.message}; but the ledger is {check.message}", hint="docs/reference/ledger.md"
        )
    return result


def _live_table(history: History, live: dict[str, Event | None], when: str) -> Table:
    rows = [
        (name, _v(e.version), e.when, e.actor, e.approver or "", e.reason, "yes" if history.verified(e) else "no")
        for name, e in live.items() if e
    ]  # fmt: skip
    return Table(f"Live {when}", ("environment", "release", "since", "by", "approved by", "why", "verified"), rows)


def _events_table(events: Sequence[Event]) -> Table:
    rows = [
        (e.number, e.when, _v(e.version), e.environment or "", _what(e), e.actor, e.reason) for e in reversed(events)
    ]
    return Table("Events, newest first", ("no.", "at", "release", "environment", "what", "by", "why"), rows)


def _what(event: Event) -> str:
    return event.how or str(event.kind) if event.kind in {Kind.ASSIGNED, Kind.ABORTED} else str(event.kind)


def _event(history: History, event: Event | None) -> dict[str, Any] | None:
    if event is None:
        return None
    document = event.model_dump(mode="json", exclude={"signature", "record"})
    return {**document, "when": event.when, "verified_by": getattr(history.verified(event), "number", None)
            if event.kind is Kind.ASSIGNED else None}  # fmt: skip


def lines(result: Result) -> str:
    """Spell the first table for a terminal, its columns aligned; empty ones are left out."""
    table = result.tables[0]
    cells = [[str(cell) for cell in row] for row in [table.columns, *table.rows]]
    kept = [place for place in range(len(table.columns)) if any(row[place] for row in cells[1:])]
    widths = {place: max(len(row[place]) for row in cells) for place in kept}
    return "\n".join("  " + "  ".join(row[place].ljust(widths[place]) for place in kept).rstrip() for row in cells)
