"""
Collect: bring a project's raw data as far as its source reaches, and move `as_of` there.

The rows come first and the params last, each by a rename: a run that dies between the two leaves the former `as_of`,
and the next one finds its work done. What was published before is not touched by any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.collecting import edits
from ci.collecting.frontier import begins_period, whole_until
from ci.collecting.waiting import waiting
from ci.data.ingest import ingest, pending
from ci.errors import BadInput
from ci.params import parse
from ci.project import ProjectParams
from ci.report import Check, Found, Result
from ci.yaml import mapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from ci.collecting.interface import Service
    from ci.data.ingest import TableReader
    from ci.progress import Progress
    from ci.project import Project
    from ci.sources import AnyTable


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: up to when, from where, and whether to do it."""

    as_of: date | None = None
    collector: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class World:
    """What collecting stands on; `service` opens the door to a collection service that the params name."""

    open_table: Callable[[AnyTable], TableReader]
    service: Callable[[Project], Service | None]
    today: date
    progress: Progress


@dataclass(frozen=True)
class _Plan:
    """The params that are there, those that will be, and how far the source reaches."""

    path: Path
    before: str
    after: str
    former: date
    reaches: date
    takes_over: bool
    project: Project

    @property
    def as_of(self) -> date:
        return self.project.params.as_of

    @property
    def moves(self) -> bool:
        return self.as_of != self.former


def collect(project: Project, wish: Wish, world: World, folder: Path) -> Result:
    """
    Bring `folder` and the params to the newest whole period, or to the date that was wished for.

    Raises:
        BadInput: the date lies back, the params cannot be edited, or the source or the project's code is wrong.
        Unavailable: the source did not answer; nothing was moved.
    """
    plan = _plan(project, wish, world)
    checks = [*_unsettled(plan, wish)]
    service = world.service(plan.project)
    quarantine = waiting(service, project.contract) if service else None
    if wish.dry_run:
        result = _forecast(plan, [period.name for period in pending(plan.project, world.open_table, folder)])
    else:
        result = _told(plan, ingest(plan.project, world.open_table, folder, world.progress))
        _move(plan)
    if quarantine:
        checks, tables = [*checks, *quarantine.checks], [*result.tables, *quarantine.tables]
        return result.because(checks=[*result.checks, *checks], tables=tables)
    return result.because(checks=[*result.checks, *checks])


def _plan(project: Project, wish: Wish, world: World) -> _Plan:
    path = project.folder / "params.yaml"
    text, former = edits.read(path), project.params.as_of
    edited = _taken_over(text, project, str(path)) if wish.collector else text
    under = _under(project, text, edited, str(path))
    event_time = project.contract.event_time
    if wish.as_of and wish.as_of < former:
        raise BadInput(f"--as-of: {wish.as_of} lies before as_of {former}: what is known does not become unknown",
                       hint=f"to go back, set as_of in {path} and run steps.ingest")  # fmt: skip
    if wish.as_of and wish.as_of > world.today:
        raise BadInput(f"--as-of: {wish.as_of} lies in the future")
    if event_time is None:
        reaches = wish.as_of or former
    else:
        reaches = whole_until(under.params.source, event_time, world.open_table, former, world.today)
    edited = edits.moved(edited, wish.as_of or reaches, str(path))
    then = _under(project, text, edited, str(path))
    takes_over = then.params.source.collector != project.params.source.collector
    return _Plan(path, text, edited, former, reaches, takes_over, then)


def _move(plan: _Plan) -> None:
    """Write the params, unless somebody else did meanwhile: what a person wrote is not written over."""
    if plan.after == plan.before:
        return
    if edits.read(plan.path) != plan.before:
        raise BadInput(f"{plan.path}: was changed while rows were read", hint="run it again: nothing is read twice")
    edits.write(plan.path, plan.after)


def _taken_over(text: str, project: Project, where: str) -> str:
    source, as_of = project.params.source, project.params.as_of
    if source.collector is not None:
        return text
    if not begins_period(as_of, source):
        raise BadInput(f"--collector: as_of {as_of} lies within a {source.period}, and a {source.period} comes from one place",
                       hint="collect to the end of the period first, with --as-of")  # fmt: skip
    return edits.taken_over(text, as_of, where)


def _under(project: Project, text: str, edited: str, where: str) -> Project:
    """Return the project under the edited params, which differ in what was meant to differ and nothing else."""
    if edited == text:
        return project
    document = mapping(edited, where)
    edits.nothing_else(mapping(text, where), document, where)
    return project.under(parse(ProjectParams, document, where))


def _unsettled(plan: _Plan, wish: Wish) -> list[Check]:
    """Warn of a date that was wished for beyond what the source calls whole."""
    if wish.as_of is None or wish.as_of <= plan.reaches:
        return []
    message = f"the source is whole up to {plan.reaches}: rows from then to {wish.as_of} may still be missing"
    return [Check("settled", Found.WARNED, message, str(wish.as_of), str(plan.reaches))]


def _told(plan: _Plan, done: Result) -> Result:
    return done.because(message=f"{_headline(plan)}; {done.message}", data={**_data(plan), **_read(done)})


def _read(done: Result) -> dict[str, Any]:
    """Tell programs which periods were read, and which of those read differently than before."""
    rows = [row for table in done.tables if table.title == "Periods" for row in table.rows]
    again = sorted(check.name.removeprefix("restated ") for check in done.checks if check.name.startswith("restated "))
    return {"read": sorted(str(row[0]) for row in rows if row[4]), "restated": again}


def _forecast(plan: _Plan, names: list[str]) -> Result:
    listed = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    message = f"{_headline(plan)}; would read {listed or 'nothing new'} (--dry-run: nothing was changed)"
    return Result(message, facts={"as of": str(plan.as_of), "periods to read": len(names)},
                  data={**_data(plan), "read": names, "restated": []})  # fmt: skip


def _headline(plan: _Plan) -> str:
    takes = "; the collection service takes over" if plan.takes_over else ""
    moves = f"as_of {plan.former} → {plan.as_of}" if plan.moves else f"nothing new: as_of stays {plan.former}"
    return f"{moves}{takes}"


def _data(plan: _Plan) -> dict[str, Any]:
    return {"as_of": str(plan.as_of), "former": str(plan.former), "moved": plan.moves, "reaches": str(plan.reaches)}
