"""
Replay: play the world for a collection service, with a project's own rows, month by month.

Each row is sent when it happens, without what nobody could know by then; its outcome follows a label horizon later, in
event time. Everything may be sent again: the service knows rows by their keys and requests by their ids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ci.collecting import spelling
from ci.collecting.memory import Memory, goes_on
from ci.collecting.sent import Sent, told
from ci.collecting.spans import Span
from ci.collecting.timeline import Slice, Stretch, slices
from ci.contract import plain
from ci.data.ingest import rows_of
from ci.data.periods import periods
from ci.errors import BadInput
from ci.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ci.collecting.interface import Door, Service
    from ci.collecting.memory import Keeper
    from ci.data.held import Kind
    from ci.data.ingest import TableReader
    from ci.data.periods import Period
    from ci.progress import Progress
    from ci.project import Project
    from ci.report import Result
    from ci.sources import AnyTable

_DAY = timedelta(days=1)
_FAST = 8640.0  # from here on a day takes less than ten seconds, and nobody sees that its rows come together


@dataclass(frozen=True, slots=True)
class Wish:
    """What is played, and how: `speed` is event time over time, None as fast as it goes; `share` of rows are asked."""

    span: Span
    speed: float | None = None
    batch: int = 1000
    share: float = 1.0
    again: bool = False


@dataclass
class Stage:
    """Where it is played."""

    open_table: Callable[[AnyTable], TableReader]
    service: Service
    door: Door | None
    keeper: Keeper
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    progress: Progress


@dataclass
class _Play:
    project: Project
    wish: Wish
    stage: Stage
    sent: Sent = field(default_factory=Sent)
    began: tuple[float, datetime] | None = None

    def slice(self, part: Slice) -> None:
        """Send what happens in a slice: rows, requests, outcomes."""
        contract, name = self.project.contract, part.start.strftime("%Y-%m")
        self._send("records", spelling.records(part.records, contract), part, name)
        if self.stage.door is not None and len(part.records):
            ids = spelling.request_ids(part.records, contract, self.project.name)
            asked = zip(ids, spelling.inputs(part.records, contract), strict=True)
            answers = self.stage.door.ask([item for item in asked if _chosen(item[0], self.wish.share)])
            self.sent.asked(name, answers)
        ids_due = spelling.request_ids(part.outcomes, contract, self.project.name) if self.stage.door else None
        self._send("outcomes", spelling.outcomes(part.outcomes, contract, ids_due), part, name)

    def _send(self, kind: Kind, rows: Sequence[dict[str, Any]], part: Slice, name: str) -> None:
        for start in range(0, len(rows), self.wish.batch):
            batch = rows[start : start + self.wish.batch]
            self._wait(part.start + (part.end - part.start) * (start + len(batch)) / len(rows))
            self.sent.batch(name, kind, batch, self.stage.service.send(kind, batch))

    def _wait(self, moment: datetime) -> None:
        """Wait until the moment has come, in a world that is `speed` times as fast."""
        if self.wish.speed is None:
            return
        if self.began is None:
            self.began = (self.stage.clock(), moment)
        due = self.began[0] + (moment - self.began[1]).total_seconds() / self.wish.speed
        if (left := due - self.stage.clock()) > 0:
            self.stage.sleep(left)


def replay(project: Project, wish: Wish, stage: Stage) -> Result:
    """
    Send a span of a project's rows; what was sent before is left out, as long as the service still has it.

    Raises:
        BadInput: the project has no event time or keys, its source no such rows, or the service refuses.
        Unavailable: the service or the door did not answer for longer than patience lasts; run it again to go on.
    """
    time = _fit(project)
    digest, state, held = sha256_of(plain(project.contract)), stage.service.state(), stage.service.periods()
    known = None if wish.again else goes_on(stage.keeper.read(), wish.span, digest, state)
    span = Span(max(wish.span.start, known.until), wish.span.end) if known else wish.span
    if span.start >= span.end:
        return told(Sent(), str(wish.span), project.contract, before=True)
    first = min([wish.span.start, *(datetime.fromisoformat(item.start) for item in held if item.rows)])
    horizon = timedelta(days=project.contract.label_horizon_days)
    chosen, play = (
        _chosen_periods(project, Span(max(first, span.start - horizon), span.end)),
        _Play(project, wish, stage),
    )
    length = _DAY if wish.speed is None or wish.speed >= _FAST else timedelta(hours=1)
    parts = slices(_stretches(project, stage, chosen, first), time, span, horizon, length)
    start = known.start if known else wish.span.start
    for part in stage.progress.over(parts, f"replay {project.name}", _number(chosen, span, length)):
        play.slice(part)
        last = part.end if part.end < span.end else wish.span.end
        stage.keeper.write(
            Memory(start=start, until=last, contract=digest, records=state.records + play.sent.new_records)
        )
    if not play.sent.total:
        raise BadInput(f"{project.name}: the source has no rows in {wish.span}", hint="look at the eras in its params")
    return told(play.sent, str(span), project.contract, before=known is not None)


def _fit(project: Project) -> str:
    contract = project.contract
    if contract.event_time is None:
        raise BadInput(f"{project.name}: the contract has no event_time: nothing says when rows happen")
    if not contract.keys:
        raise BadInput(f"{project.name}: the contract has no keys: outcomes would not find their rows")
    return contract.event_time


def _chosen_periods(project: Project, span: Span) -> list[Period]:
    """List the periods of the eras as they are written: a service is not played to itself."""
    source = project.params.source.model_copy(update={"collector": None})
    found = [p for p in periods(source, span.end.date(), timeless=False) if p.end and p.end > span.start]
    if any(table.kind == "collector" for period in found for table in period.era.tables.values()):
        raise BadInput(f"{project.name}: {found[0].name}: comes from the collection service itself",
                       hint="replay from a checkout whose eras say where the rows came from before")  # fmt: skip
    return found


def _number(chosen: Sequence[Period], span: Span, length: timedelta) -> int:
    bounds = [(max(p.start, span.start), p.end) for p in chosen if p.start and p.end]
    return sum(math.ceil((end - start) / length) for start, end in bounds if start < end)


def _stretches(project: Project, stage: Stage, chosen: Sequence[Period], first: datetime) -> Iterator[Stretch]:
    time = str(project.contract.event_time)
    for period in chosen:
        if period.start is None or period.end is None:
            continue
        rows = rows_of(project, stage.open_table, period)
        yield Stretch(period.start, period.end, rows[rows[time] >= first])


def _chosen(request_id: str, share: float) -> bool:
    """Choose by the id itself, so that the same rows are asked each time."""
    return share >= 1 or int(request_id[:8], 16) < share * 2**32
