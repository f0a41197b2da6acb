"""Periods as they are told: counts, whether settled, and the files that were compacted from them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from collector import moments
from collector.contract import Contract
from serving import log
from serving.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from collector.settings import Settings
    from collector.store.interface import Day, Removed

_MB = 2**20
_NO_ROOM = 6


class Job(msgspec.Struct, frozen=True):
    """What `collector.compact` is asked for."""

    store: str
    work: str
    contract: Contract
    periods: list[str]
    least_free: int


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """One period, as it was when its file was written."""

    identity: str  # of the store
    contract: str
    period: str
    version: int
    digest: str
    rows: int
    labelled: int
    newest: int | None

    @property
    def file(self) -> str:
        """The name of its Parquet file."""
        return f"{self.period}-{self.digest[:32]}.parquet"


class Span(msgspec.Struct, frozen=True):
    """One period, as the store counts it now."""

    period: str
    rows: int
    version: int


def spans(days: Sequence[Day], contract: Contract, removed: Sequence[Removed] = ()) -> list[Span]:
    """Bring days together to periods, oldest first; without those whose rows are no longer here."""
    found: dict[str, Span] = {}
    for day in days:
        if any(one.start <= day.day * moments.DAY_US < one.stop for one in removed):
            continue
        name = moments.period_of(day.day, contract.period) if contract.event_time else moments.ALL
        former = found.get(name, Span(name, 0, 0))
        found[name] = Span(name, former.rows + day.rows, former.version + day.version)
    return [span for span in found.values() if span.rows]


def version_of(days: Sequence[Day], contract: Contract, period: str) -> int:
    """Return what rises with every change of a period."""
    return next((span.version for span in spans(days, contract) if span.period == period), 0)


def watermark(days: Sequence[Day], contract: Contract) -> int | None:
    """Return the newest event time."""
    return max((day.newest for day in days if day.rows), default=None) if contract.event_time else None


def settled(period: str, contract: Contract, newest: int | None) -> bool:
    """Whether events are so far beyond a period that late ones would be too late."""
    bounds = moments.bounds(period)
    if bounds is None or newest is None:
        return False
    return newest >= bounds[1] + contract.lateness_days * moments.DAY_US


def told(found: Compacted, contract: Contract, newest: int | None) -> dict[str, Any]:
    """Describe a period for the answer."""
    start, end = moments.bounds(found.period) or (None, None)
    return {
        "period": found.period,
        "start": moments.iso(start),
        "end": moments.iso(end),
        "rows": found.rows,
        "labelled": found.labelled,
        "newest": moments.iso(found.newest),
        "settled": settled(found.period, contract, newest),
        "version": found.version,
        "digest": found.digest,
        "removed": None,
    }


def told_removed(found: Removed) -> dict[str, Any]:
    """Describe a period whose rows are no longer here, as it was."""
    return {
        "period": found.period,
        "start": moments.iso(found.start),
        "end": moments.iso(found.stop),
        "rows": found.rows,
        "labelled": found.labelled,
        "newest": moments.iso(found.newest),
        "settled": True,
        "version": found.version,
        "digest": found.digest,
        "removed": f"{moments.iso(found.removed)}+00:00",
    }


class Compaction:
    """Keeps files up to date, one process at a time."""

    def __init__(self, settings: Settings, identity: str) -> None:
        self._settings, self._identity, self._lock = settings, identity, asyncio.Lock()
        self.runs = 0

    def folder(self, contract: Contract) -> Path:
        """Where the files of a project lie."""
        return self._settings.folder / contract.project

    async def fresh(self, contract: Contract, wanted: Sequence[Span]) -> list[Compacted]:
        """
        Return periods as they are now, or were since this was asked.

        Raises:
            Problem: 503 or 507, when the files cannot be written.
        """
        if self._stale(contract, wanted):
            async with self._lock:
                stale = self._stale(contract, wanted)  # somebody else may have done it
                if stale:
                    await self._run(contract, stale)
        found = [self.known(contract, span.period) for span in wanted]
        return [one for one in found if one is not None]

    def drop(self, contract: Contract, found: Compacted) -> None:
        """Remove the files of a period whose rows are no longer here."""
        for name in (f"{found.period}.json", found.file):
            (self.folder(contract) / name).unlink(missing_ok=True)

    def known(self, contract: Contract, period: str) -> Compacted | None:
        """Return what was written last, if it was from this store and for this contract."""
        try:
            raw = (self.folder(contract) / f"{period}.json").read_bytes()
            found = msgspec.json.decode(raw, type=Compacted)
        except (OSError, msgspec.MsgspecError):
            return None
        mine = (found.identity, found.contract) == (self._identity, contract.digest)
        return found if mine and (self.folder(contract) / found.file).is_file() else None

    def _stale(self, contract: Contract, wanted: Sequence[Span]) -> list[str]:
        return [span.period for span in wanted
                if (known := self.known(contract, span.period)) is None or known.version < span.version]  # fmt: skip

    async def _run(self, contract: Contract, names: list[str]) -> None:
        self.runs += 1
        settings = self._settings
        job = Job(settings.store, str(settings.folder), contract, names, settings.min_free_mb * _MB // 2)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "collector.compact",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate(msgspec.json.encode(job))
        if process.returncode == 0:
            return
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:300]
        log.error("periods not compacted", project=contract.project, periods=names[:5], reason=last)
        if process.returncode == _NO_ROOM:
            raise Problem(507, "full", "there is no room for Parquet files", headers=[(b"retry-after", b"60")])
        raise Problem(503, "compaction", "the periods could not be read; the server's log says why",
                      headers=[(b"retry-after", b"5")])  # fmt: skip
