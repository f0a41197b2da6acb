"""Deliveries: who sends, within which limits, what becomes of each record."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from collector import moments, reading
from collector.asked import Query, check_contract
from collector.errors import Full, StoreError
from collector.load import Load
from collector.sensitive import MARK
from collector.store.interface import Batch
from collector.writer import Busy
from serving.problems import Problem
from serving.wire import JSON, Reply, check_type, inflate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collector.load import Share
    from collector.state import Project, State
    from collector.store.interface import Answer, Kind, Quarantined, Refused, Session
    from serving.wire import Call

NDJSON = b"application/x-ndjson"
_BODIES = 16  # of the largest bodies may be under way, from their heads to their commits
_SOON = [(b"retry-after", b"1")]


class Replay(msgspec.Struct):
    """A quarantined record to try again, corrected or as it is; whatever else the quarantine said of it may stay."""

    id: int
    record: msgspec.Raw = msgspec.Raw()


class Door:
    """Takes deliveries."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._load = Load(_BODIES * state.settings.max_body_bytes)

    async def deliver(self, call: Call, project: Project, kind: Kind) -> Reply:
        """Take records, events or outcomes."""
        sender = self._state.tokens.check(call.authorization, "send", project.contract.project)
        Query(call)
        check_type(call, NDJSON, JSON)
        check_contract(call, project.contract)
        with self._load.share() as share:
            body = await self._body(call, share)
            lines = call.content_type != JSON
            work = partial(self._read, body, call.encoding, lines, project, kind, sender.name, share)
            return await self._keep(project, [await self._judged(work)])

    async def replay(self, call: Call, project: Project) -> Reply:
        """Try quarantined records again."""
        sender = self._state.tokens.check(call.authorization, "correct", project.contract.project)
        Query(call)
        check_type(call, NDJSON, JSON)
        with self._load.share() as share:
            return await self._replay(call, project, sender.name, share)

    async def _replay(self, call: Call, project: Project, sender: str, share: Share) -> Reply:
        plain = self._state.bodies.plain(call, await self._body(call, share))
        share.take(len(plain))
        body = reading.without_mark(plain)
        wishes = _wishes(body, lines=call.content_type != JSON, most=self._state.settings.max_records)
        name = project.contract.project
        kept = await self._state.look(lambda view: view.quarantined(name, [wish.id for wish in wishes]))
        unknown = [wish.id for wish in wishes if wish.id not in kept]
        if unknown:
            raise Problem(404, "no-record", f"there is no quarantined record {unknown[0]}; nothing was replayed")
        batches = await self._judged(partial(self._again, project, sender, wishes, kept))
        order = {wish.id: index for index, wish in enumerate(wishes)}
        origins = [{place: order[number] for place, number in batch.replayed.items()} for batch in batches]
        return await self._keep(project, batches, origins)

    async def _body(self, call: Call, share: Share) -> bytes:
        if self._state.draining:
            raise Problem(503, "draining", "this service is ending", headers=_SOON, close=True)
        if call.content_length > 0:  # before it is read: there may be no room for it
            self._room(0)
        told = min(call.content_length, self._state.bodies.limit)  # beyond it is refused by its size
        share.take(max(told, 0))
        body = await self._state.bodies.read(call)
        share.take(len(body) if told < 0 else 0)
        self._room(len(body))
        return body

    def _room(self, size: int) -> None:
        try:
            self._state.disk.room(size)
        except Full as full:
            raise _full(full) from None

    async def _judged(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._state.reading, work)

    def _read(
        self, body: bytes, coding: bytes, lines: bool, project: Project, kind: Kind, sender: str, share: Share
    ) -> Batch:
        settings, now = self._state.settings, moments.now()
        if coding:
            body = inflate(body, coding, self._state.bodies.inflated)
            share.take(len(body))
            self._room(len(body))
        form = project.forms[kind]
        items, refused = reading.read(
            body, form, now, lines=lines, most=settings.max_records, longest=settings.max_record_kb * 1024
        )
        return _batch(project, kind, sender, now, items, refused)

    def _again(
        self, project: Project, sender: str, wishes: Sequence[Replay], kept: dict[int, Quarantined]
    ) -> list[Batch]:
        """Judge corrected records like any others, except that hashes in them are not hashed again."""
        now, batches = moments.now(), []
        longest = self._state.settings.max_record_kb * 1024
        for kind, form in project.forms.items():
            mine = [wish for wish in wishes if kept[wish.id].kind == kind]
            if not mine:
                continue
            hashed = [_hashes(bytes(kept[wish.id].record)) if project.guard.hashed else frozenset() for wish in mine]
            parts = [bytes(wish.record) or bytes(kept[wish.id].record) for wish in mine]
            items, refused = reading.slowly(zip(parts, hashed, strict=True), form, now, longest)
            ids = {place: wish.id for place, wish in enumerate(mine)}
            batches.append(_batch(project, kind, sender, now, items, refused, ids))
        return batches

    async def _keep(
        self, project: Project, batches: Sequence[Batch], origins: Sequence[dict[int, int]] | None = None
    ) -> Reply:
        state, most = self._state, self._state.settings.max_quarantine

        def work(session: Session) -> list[Answer]:
            return [session.add(batch, most) for batch in batches]

        weight = sum(len(batch.items) + len(batch.refused) for batch in batches)
        answers = await self.written(work, weight)
        for batch, answer in zip(batches, answers, strict=True):
            state.telemetry.delivered(project.contract.project, batch.kind, answer)
        for answer, origin in zip(
            answers, origins or (), strict=False
        ):  # places in the body, not among those of a kind
            answer.results = [fate._replace(place=origin[fate.place]) for fate in answer.results]
        return Reply(200, JSON, spell(answers))

    async def written(self, work: Callable[[Session], Any], weight: int) -> Any:
        """
        Return what was written, once it is on the disk.

        Raises:
            Problem: 503 when too much is waiting or the store does not answer, 507 when there is no room.
        """
        try:
            asked = asyncio.wrap_future(self._state.writer.ask(work, weight))
            return await asyncio.wait_for(asyncio.shield(asked), self._state.settings.commit_timeout_s)
        except Busy:
            raise Problem(503, "busy", "too many records are waiting to be written", headers=_SOON) from None
        except Full as full:
            raise _full(full) from None
        except StoreError:
            raise Problem(503, "store", "the store does not answer; nothing was kept", headers=_SOON) from None
        except TimeoutError:
            detail = "the store has not answered yet; send it again: what was kept is not kept twice"
            raise Problem(503, "store", detail, headers=_SOON) from None

    async def forget(self, call: Call, project: Project, number: int) -> Reply:
        """Remove a quarantined record."""
        name = project.contract.project
        self._state.tokens.check(call.authorization, "correct", name)
        if not await self.written(lambda session: session.forget(name, number), 1):
            raise Problem(404, "no-record", f"there is no quarantined record {number}")
        return Reply(200, JSON, msgspec.json.encode({"deleted": number}))


def _batch(
    project: Project, kind: Kind, sender: str, now: int, items: Sequence[Any], refused: Sequence[Refused],
    replayed: dict[int, int] | None = None,
) -> Batch:  # fmt: skip
    contract = project.contract
    return Batch(contract.project, kind, project.shape, sender, now, contract.target, items, refused, replayed or {},
                 project.rows.spelt)  # fmt: skip


def _wishes(body: bytes, *, lines: bool, most: int) -> list[Replay]:
    parts = reading.pieces(body, lines=lines)
    if len(parts) > most:
        raise Problem(413, "too-many", f"the body has more than {most:,} records; send smaller batches")
    found: dict[int, Replay] = {}
    for index, part in enumerate(parts):
        try:
            wish = msgspec.json.decode(part, type=Replay)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(422, "invalid", f"row {index}: {error}; nothing was replayed") from None
        if wish.id in found:
            raise Problem(422, "invalid", f"row {index}: record {wish.id} is there twice; nothing was replayed")
        found[wish.id] = wish
    return list(found.values())


def _hashes(record: bytes) -> frozenset[str]:
    """Return the hashes that stand in a quarantined record for values that nobody may see."""
    try:
        document = msgspec.json.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return frozenset()
    values = document.values() if isinstance(document, dict) else ()
    return frozenset(value for value in values if isinstance(value, str) and value.startswith(MARK))


def _full(full: Full) -> Problem:
    return Problem(507, "full", f"no room: {full}", headers=[(b"retry-after", b"60")])


def spell(answers: Sequence[Answer]) -> bytes:
    """Spell what became of a delivery."""
    results: list[dict[str, Any]] = []
    for fate in sorted((fate for answer in answers for fate in answer.results), key=lambda fate: fate.place):
        one: dict[str, Any] = {"index": fate.place, "outcome": fate.outcome}
        if fate.outcome == "rejected":
            reasons = [{"field": reason.field, "reason": reason.reason} for reason in fate.reasons]
            one |= {"reasons": reasons, "quarantine": fate.quarantine}
        results.append(one)
    counts = {name: sum(getattr(answer, name) for answer in answers)
              for name in ("accepted", "duplicates", "restated", "rejected")}  # fmt: skip
    return msgspec.json.encode({**counts, "results": results})
