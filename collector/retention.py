"""
What the service lets go, and when.

Rows go only when somebody who has them says so, period by period and by digest; nothing here decides that. Predictions
and refused records go by age, where settings say so; without, everything is kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from collector import moments, periods
from collector.asked import Query
from collector.errors import StoreError
from collector.store.interface import Removed, Until
from collector.writer import Busy
from serving import log
from serving.problems import Problem
from serving.wire import JSON, Reply

if TYPE_CHECKING:
    from collector.contract import Contract
    from collector.door import Door
    from collector.periods import Compacted
    from collector.settings import Settings
    from collector.state import Project, State
    from serving.wire import Call

_MOST = 2000  # of a kind in one transaction
_DIGEST = 64


def until(settings: Settings, contract: Contract, now: int) -> Until:
    """Say what is old enough to go: predictions once no label can count for them, and a while longer."""
    happened = received = refused = None
    if settings.keep_predictions_days:
        wait = contract.label_horizon_days + contract.lateness_days
        happened = received = now - int((settings.keep_predictions_days + wait) * moments.DAY_US)
    if settings.keep_quarantine_days:
        refused = now - int(settings.keep_quarantine_days * moments.DAY_US)
    return Until(happened, received, refused)


async def tidying(state: State) -> None:
    """Let go of what may go now and then; what a killed process had begun is ended by the next one."""
    while True:
        for project in list(state.projects.values()):
            try:
                await tidied(state, project.contract)
            except Busy:
                continue  # deliveries first
            except StoreError as error:
                log.warning("not tidied", project=project.contract.project, reason=str(error))
        await asyncio.sleep(state.settings.tidy_every_s)


async def tidied(state: State, contract: Contract) -> int:
    """Let go of all that may go of one project, part by part; returns how many."""
    limits, done = until(state.settings, contract, moments.now()), 0
    while part := await asyncio.wrap_future(
        state.writer.ask(lambda session: session.tidy(contract.project, limits, _MOST), _MOST)
    ):
        done += part
    if done:
        log.info("let go", project=contract.project, n=done)
    return done


class Retention:
    """Answers those who may remove."""

    def __init__(self, state: State, door: Door) -> None:
        self._state, self._door = state, door
        self._begun: set[asyncio.Task[None]] = set()

    async def remove(self, call: Call, project: Project, period: str) -> Reply:
        """Remove the rows of a settled period, for somebody who says by digest that these are the ones published."""
        contract = project.contract
        self._state.tokens.check(call.authorization, "correct", contract.project)
        Query(call)
        theirs = _digest(call)
        days, removed = await self._state.look(
            lambda view: (view.days(contract.project), view.removed(contract.project))
        )
        there = next((one for one in removed if one.period == period), None)
        if there is None:
            wanted = [span for span in periods.spans(days, contract, removed) if span.period == period]
            found = await self._state.compaction.fresh(contract, wanted)
            if not found:
                raise Problem(404, "no-period", f"{contract.project} has no rows in {period[:40]}")
            if not periods.settled(period, contract, periods.watermark(days, contract)):
                raise Problem(409, "not-settled", f"{period} is not settled: more of its rows may come")
            there = await self._closed(contract, found[0], theirs)
        elif there.digest != theirs:
            raise _other(period, there.digest, theirs)
        asyncio.get_running_loop().call_soon(self._soon, contract)
        told = {"period": period, "digest": there.digest, "rows": there.rows}
        return Reply(200, JSON, msgspec.json.encode(told))

    async def _closed(self, contract: Contract, found: Compacted, theirs: str) -> Removed:
        bounds = moments.bounds(found.period)
        if found.digest != theirs or bounds is None:
            raise _other(found.period, found.digest, theirs)
        there = Removed(found.period, *bounds, found.digest, found.rows, found.labelled, found.newest, found.version,
                        moments.now())  # fmt: skip
        if not await self._door.written(lambda session: session.remove(contract.project, there), 1):
            raise Problem(412, "changed", f"{found.period}: rows have come just now; collect them first")
        self._state.compaction.drop(contract, found)
        log.info("period removed", project=contract.project, period=found.period, rows=found.rows, digest=found.digest)
        return there

    def _soon(self, contract: Contract) -> None:
        """Let go of the rows themselves after the answer; where that fails, `tidying` ends it."""
        task = asyncio.get_running_loop().create_task(self._tidied(contract))
        self._begun.add(task)  # or nobody would hold on to it
        task.add_done_callback(self._begun.discard)

    async def _tidied(self, contract: Contract) -> None:
        try:
            await tidied(self._state, contract)
        except (Busy, StoreError) as error:
            log.info("tidied later", project=contract.project, reason=str(error))


def _digest(call: Call) -> str:
    given = next((value for name, value in call.scope["headers"] if name == b"if-match"), b"")
    digest = given.decode("latin-1").strip().strip('"')
    if len(digest) != _DIGEST:
        raise Problem(428, "digest", "say with If-Match which rows you have: the digest under which they are listed")
    return digest


def _other(period: str, ours: str, theirs: str) -> Problem:
    return Problem(412, "changed", f"{period}: its rows have digest {ours}, you have {theirs}: collect them first")
