"""A collection service in memory, for tests that need none over HTTP; tests/contract holds it against the real one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from ci.contract import Contract, Role
from ci.data.held import Held, Outcome, Quarantined, Reason, Receipt, State
from ci.data.periods import following, name_of
from ci.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.data.held import Kind

LATER = {Role.TARGET, Role.AFTER}


@dataclass
class MemoryService:
    """Satisfies `ci.collecting.interface.Service`; `down` batches fail before and `lost` ones after they were taken."""

    contract: Contract
    period: str = "month"
    lateness: timedelta = timedelta(0)
    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    known: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    refused: list[Quarantined] = field(default_factory=list)
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def send(self, kind: Kind, rows: Sequence[dict[str, Any]]) -> Receipt:
        counts, results = dict.fromkeys(("accepted", "duplicates", "restated", "rejected"), 0), []
        for index, row in enumerate(rows):
            self.log.append((kind, row))
            fate = self._record(row) if kind == "records" else self._outcome(row)
            counts["rejected" if isinstance(fate, list) else fate] += 1
            if isinstance(fate, list):
                self.refused.append(Quarantined(id=len(self.refused) + 1, kind=kind, reasons=fate, record=row))
                results.append(Outcome(index=index, outcome="rejected", reasons=fate, quarantine=len(self.refused)))
        return Receipt(**counts, results=results)

    def state(self) -> State:
        newest = max((row[self._time] for row in self.rows.values()), default=None)
        return State(project="shop", watermark=newest, records=len(self.rows), outcomes=len(self.known),
                     quarantined=len(self.refused))  # fmt: skip

    def quarantine(self, limit: int) -> list[Quarantined]:
        return self.refused[:limit]

    def periods(self) -> list[Held]:
        return [self._held(name) for name in sorted({self._name(row) for row in self.rows.values()})]

    def frame(self, period: str) -> pd.DataFrame:
        keys = sorted(key for key, row in self.rows.items() if self._name(row) == period)
        names = list(self.contract.columns)
        rows = [{**dict.fromkeys(names), **self.rows[key], **self.known.get(key, {})} for key in keys]
        return pd.DataFrame(rows, columns=names)

    @property
    def _time(self) -> str:
        return str(self.contract.event_time)

    def _key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.contract.keys)

    def _record(self, row: dict[str, Any]) -> str | list[Reason]:
        faults = [Reason(field=name, reason="is out of range") for name, column in self.contract.columns.items()
                  if column.maximum is not None and row.get(name) is not None and row[name] > column.maximum]  # fmt: skip
        if faults:
            return faults
        return self._stored(self.rows, self._key(row), row)

    def _outcome(self, row: dict[str, Any]) -> str:
        later = {
            name: row[name] for name, column in self.contract.columns.items() if column.role in LATER and name in row
        }
        return self._stored(self.known, self._key(row), later)

    @staticmethod
    def _stored(store: dict[tuple[Any, ...], dict[str, Any]], key: tuple[Any, ...], row: dict[str, Any]) -> str:
        former = store.get(key)
        store[key] = row
        return "accepted" if former is None else "duplicates" if former == row else "restated"

    def _name(self, row: dict[str, Any]) -> str:
        return name_of(date.fromisoformat(row[self._time][:10]), self.period)

    def _held(self, name: str) -> Held:
        rows = {key: row for key, row in self.rows.items() if self._name(row) == name}
        first = date.fromisoformat((name + "-01-01")[:10])
        end, watermark = following(first, name), datetime.fromisoformat(str(self.state().watermark))
        document = [[list(key), row, self.known.get(key)] for key, row in sorted(rows.items())]
        return Held(
            period=name, start=f"{first}T00:00:00", end=f"{end}T00:00:00", rows=len(rows),
            labelled=sum(key in self.known for key in rows), newest=max(row[self._time] for row in rows.values()),
            settled=watermark >= datetime.combine(end, datetime.min.time()) + self.lateness, digest=sha256_of(document),
        )  # fmt: skip


@dataclass
class MemoryReader:
    """Rows of a `MemoryService`, as `ci.adapters.collected.CollectorReader` gives those of a real one."""

    service: MemoryService
    reads: list[str] = field(default_factory=list)

    def settled(self) -> datetime | None:
        return max((datetime.fromisoformat(held.end) for held in self.service.periods() if held.settled), default=None)

    def schema(self, start: datetime | None, end: datetime | None) -> dict[str, str]:
        return {}

    def digest(self, start: datetime | None, end: datetime | None) -> str:
        return sha256_of([held.digest for held in self._within(start, end)])

    def read(self, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        held = self._within(start, end)
        self.reads += [item.period for item in held]
        frames = [self.service.frame(item.period) for item in held]
        frame = pd.concat(frames, ignore_index=True) if frames else self.service.frame("none")
        moments = pd.to_datetime(frame[str(self.service.contract.event_time)], format="ISO8601")
        return frame[(moments >= pd.Timestamp(start)) & (moments < pd.Timestamp(end))]

    def _within(self, start: datetime | None, end: datetime | None) -> list[Held]:
        low, high = str(start).replace(" ", "T"), str(end).replace(" ", "T")
        return [held for held in self.service.periods() if held.start < high and held.end > low]
