"""What is given out: state, periods, joined predictions, counts of labels, the quarantine, former versions."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from collector import moments, periods
from collector.asked import Query
from collector.door import NDJSON
from serving.problems import Problem
from serving.wire import JSON, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from collector.contract import Contract
    from collector.state import Project, State
    from collector.store.interface import Day, Joined, Past, Quarantined, Removed, View
    from serving.wire import Call

PARQUET, CSV = b"application/vnd.apache.parquet", b"text/csv; charset=utf-8"
_PAGE_BYTES, _JOINED_BYTES = 16 * 2**20, 64 * 2**20
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_decode = msgspec.msgpack.Decoder().decode


class Stream(NamedTuple):
    """An answer that is a file, already open: what takes its place later is another file."""

    content_type: bytes
    file: BinaryIO
    length: int
    headers: Sequence[tuple[bytes, bytes]]


class Answers:
    """Answers those who may read."""

    def __init__(self, state: State) -> None:
        self._state = state

    def _check(self, call: Call, project: Project | None, scope: str = "read") -> None:
        self._state.tokens.check(call.authorization, scope, project.contract.project if project else None)

    async def all(self, call: Call) -> Reply:
        """Tell the state of all projects that the caller may read."""
        Query(call)
        mine, problem = [], None
        for project in self._state.projects.values():
            try:
                self._check(call, project)
                mine.append(project)
            except Problem as refusal:
                problem = refusal
        if problem and not mine:
            raise problem
        return _json({"projects": [await self._told(project) for project in mine]})

    async def project(self, call: Call, project: Project) -> Reply:
        """Tell the state of one project."""
        self._check(call, project)
        Query(call)
        return _json(await self._told(project))

    async def _told(self, project: Project) -> dict[str, Any]:
        contract = project.contract
        counts, days = await self._state.look(lambda view: (view.counts(contract.project), view.days(contract.project)))
        return {
            "project": contract.project,
            "contract": contract.digest,
            "period": contract.period,
            "lateness_days": contract.lateness_days,
            "watermark": moments.iso(periods.watermark(days, contract)),
            **counts,
        }

    async def periods(self, call: Call, project: Project) -> Reply:
        """List the periods; those that changed are compacted first, because their digest is asked for."""
        self._check(call, project)
        Query(call)
        days, removed = await self._held(project.contract)
        found = await self._state.compaction.fresh(project.contract, periods.spans(days, project.contract, removed))
        newest = periods.watermark(days, project.contract)
        listed = [*map(periods.told_removed, removed), *(periods.told(one, project.contract, newest) for one in found)]
        return _json({"periods": sorted(listed, key=lambda one: one["start"] or "")})

    async def rows(self, call: Call, project: Project, period: str) -> Reply | Stream:
        """Give out a period as Parquet."""
        self._check(call, project)
        Query(call)
        contract = project.contract
        days, removed = await self._held(contract)
        for one in removed:
            if one.period == period:
                when, digest = moments.iso(one.removed), one.digest
                raise Problem(410, "removed", f"{period}: its rows were removed on {when} UTC, published as {digest}")
        wanted = [span for span in periods.spans(days, contract, removed) if span.period == period]
        for _ in range(3):  # a file may be replaced between being named and being opened
            found = await self._state.compaction.fresh(contract, wanted)
            if not found:
                break
            tag = f'"{found[0].digest}"'.encode()
            if tag in [value.strip() for value in _header(call, b"if-none-match").split(b",")]:
                return Reply(304, PARQUET, b"", [(b"etag", tag)])
            try:
                file = (self._state.compaction.folder(contract) / found[0].file).open("rb")
            except FileNotFoundError:
                continue
            return Stream(PARQUET, file, file.seek(0, 2), [(b"etag", tag)])
        raise Problem(404, "no-period", f"{contract.project} has no rows in {period[:40]}")

    async def _held(self, contract: Contract) -> tuple[list[Day], list[Removed]]:
        name = contract.project
        found: tuple[list[Day], list[Removed]] = await self._state.look(
            lambda view: (view.days(name), view.removed(name))
        )
        return found

    async def joined(self, call: Call, project: Project) -> Reply:
        """Give out predictions whose label is known."""
        self._check(call, project)
        query = Query(call, "since", "until", "release", "after_id", "limit")
        after, limit, bounds, release = query.whole("after_id", 0), query.limit, query.bounds, query.text("release")
        target, name = project.contract.target, project.contract.project
        timed = project.contract.event_time is not None

        def look(view: View) -> Reply:
            found = view.joined(name, after, limit, bounds, release)
            return _lines((_joined(one, target, timed=timed) for one in found), _JOINED_BYTES)

        reply: Reply = await self._state.look(look)
        return reply

    async def labels(self, call: Call, project: Project) -> Reply:
        """Count labels by release and day."""
        self._check(call, project)
        bounds = Query(call, "since", "until").bounds
        found = await self._state.look(lambda view: view.labels(project.contract.project, bounds))
        counts = [
            {
                "release": one.release,
                "day": str(moments.iso(one.day * moments.DAY_US))[:10],
                "predictions": one.predictions,
                "labelled": one.labelled,
                "waiting": one.predictions - one.labelled - one.expired,
                "expired": one.expired,
            }
            for one in found
        ]
        return _json({"labels": counts})

    async def quarantine(self, call: Call, project: Project) -> Reply:
        """Give out refused records, as NDJSON or, for spreadsheets, as CSV."""
        self._check(call, project)
        query = Query(call, "after_id", "limit", "format")
        if query.text("format") not in {None, "ndjson", "csv"}:
            raise Problem(400, "query", "format: ndjson or csv")
        after, limit = query.whole("after_id", 0), query.limit
        name, as_text = project.contract.project, query.text("format") == "csv"

        def look(view: View) -> Reply:
            told = _cut(_quarantined(one) for one in view.quarantine(name, after, limit))
            return _table(told) if as_text else _lines(told)

        reply: Reply = await self._state.look(look)
        return reply

    async def past(self, call: Call, project: Project) -> Reply:
        """Give out versions that others took the place of."""
        self._check(call, project)
        query = Query(call, "after_id", "limit")
        after, limit, name = query.whole("after_id", 0), query.limit, project.contract.project

        def look(view: View) -> Reply:
            shapes = view.shapes(name)
            return _lines(_past(one, shapes, project.contract) for one in view.past(name, after, limit))

        reply: Reply = await self._state.look(look)
        return reply


def _joined(one: Joined, target: str, *, timed: bool) -> dict[str, Any]:
    request_id, row, bundle, output, value, _ = _decode(one.body)
    return {
        "id": one.id,
        "time": f"{moments.iso(one.time)}+00:00",
        "event_time": moments.iso(one.happens) if timed else None,
        "request_id": request_id,
        "row": row,
        "release": one.release,
        "version": one.version,
        "bundle": bundle,
        output: value,
        "predicted": value,
        "target": _decode(one.known).get(target),
        "known_at": moments.iso(one.known_at),
    }


def _quarantined(one: Quarantined) -> dict[str, Any]:
    """Tell of a refused record: as it is where it is JSON, as text where it is not."""
    raw = bytes(one.record)
    try:
        record = msgspec.json.decode(raw) if raw else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        record = raw.decode("utf-8", "backslashreplace")
    reasons = [{"field": field, "reason": reason} for field, reason in msgspec.json.decode(bytes(one.reasons))]
    return {
        "id": one.id,
        "kind": one.kind,
        "received": f"{moments.iso(one.received)}+00:00",
        "sender": one.sender,
        "reasons": reasons,
        "record": record,
    }


def _past(one: Past, shapes: dict[int, list[str]], contract: Contract) -> dict[str, Any]:
    kept = _decode(bytes(one.row))
    told: dict[str, Any] = {"id": one.id, "kind": one.kind, "version": one.version,
                            "replaced": f"{moments.iso(one.replaced)}+00:00"}  # fmt: skip
    if one.kind == "records":
        return told | {"record": _spelt(dict(zip(shapes[one.shape], kept, strict=True)), contract)}
    if one.kind == "outcomes":
        _, known_at, known = kept
        return told | {"record": {"known_at": moments.iso(known_at), **_spelt(known, contract)}}
    names = ("request_id", "row", "bundle", "output", "value", "inputs")
    return told | {"record": dict(zip(names, kept, strict=True))}


def _spelt(values: dict[str, Any], contract: Contract) -> dict[str, Any]:
    timed = {name for name, column in contract.columns.items() if column.type == "datetime"}
    return {name: moments.iso(value) if name in timed else value for name, value in values.items()}


def as_csv(told: Iterable[dict[str, Any]]) -> bytes:
    """Spell quarantined records for a spreadsheet; what a spreadsheet would take for a formula gets a quote in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "kind", "received", "sender", "reasons", "record"])
    for one in told:
        reasons = "; ".join(f"{r['field'] or 'record'} {r['reason']}" for r in one["reasons"])
        record = one["record"] if isinstance(one["record"], str) else msgspec.json.encode(one["record"]).decode()
        cells = [str(one["id"]), one["kind"], one["received"], one["sender"], reasons, record]
        writer.writerow([_harmless(cell) for cell in cells])
    return out.getvalue().encode()


def _harmless(cell: str) -> str:
    """Disarm a cell: https://owasp.org/www-community/attacks/CSV_Injection."""
    return "'" + cell if cell.lstrip(" ").startswith(_FORMULA) or cell.startswith(_FORMULA) else cell


def _json(document: Any) -> Reply:
    return Reply(200, JSON, msgspec.json.encode(document))


def _lines(documents: Iterable[dict[str, Any]], most: int = _PAGE_BYTES) -> Reply:
    """Spell one page; it ends early where it would become too large, and the next one goes on."""
    parts, size = [], 0
    for document in documents:
        parts.append(msgspec.json.encode(document) + b"\n")
        size += len(parts[-1])
        if size > most:
            break
    return Reply(200, NDJSON, b"".join(parts))


def _table(documents: Iterable[dict[str, Any]]) -> Reply:
    headers = [(b"content-disposition", b'attachment; filename="quarantine.csv"')]
    return Reply(200, CSV, as_csv(documents), headers)


def _cut(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    size = 0
    for document in documents:
        yield document
        size += len(msgspec.json.encode(document["record"]))
        if size > _PAGE_BYTES:
            return


def _header(call: Call, wanted: bytes) -> bytes:
    return b",".join(value for name, value in call.scope["headers"] if name == wanted)
