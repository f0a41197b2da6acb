"""
Periods as Parquet: rows by event time and key, and a digest of what they say.

A process of its own, because it works for minutes on large periods while deliveries are taken, and gives its memory
back when it ends. The digest is taken over values and not over bytes of the file, and over rows in order of key: it is
the same whatever came first, and whatever version of a library wrote the file.

Reads   a job as JSON on stdin; the store
Writes  <work>/<project>/<period>-<digest>.parquet and <period>.json
Exits   0 done, 5 the store does not answer, 6 no room
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from contextlib import closing, suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from collector import moments
from collector.errors import Full, StoreError
from collector.periods import Compacted, Job, version_of
from collector.store.opening import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collector.contract import Contract
    from collector.store.interface import Row, Store, View

_ROWS = 16_384  # rows held at a time
_GROUP = 131_072  # rows of a row group
_OLD_S = 6 * 3600
UNAVAILABLE, NO_ROOM = 5, 6
_TYPES = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
}
_decode, _encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode


class Rows:
    """The rows of a period in the columns of the contract, with what became known later."""

    def __init__(self, contract: Contract, shapes: dict[int, list[str]]) -> None:
        self._names = list(contract.columns)
        self._numbers = [place for place, name in enumerate(self._names) if contract.columns[name].type == "number"]
        self._pick = {number: self._picking(columns) for number, columns in shapes.items()}
        self._places = {name: place for place, name in enumerate(self._names)}

    def values(self, row: Row) -> list[Any]:
        """Return the values of a row, in the order of the contract."""
        values: list[Any] = self._pick[row.shape](_decode(row.row))
        if row.known is not None:
            for name, value in _decode(row.known).items():
                if name in self._places:
                    values[self._places[name]] = value
        for place in self._numbers:  # whole once, by a former contract
            if type(values[place]) is int:
                values[place] = float(values[place])
        return values

    def _picking(self, columns: list[str]) -> Callable[[list[Any]], list[Any]]:
        """Return what brings the values of a shape into the order of the contract; null is what it did not have."""
        places = [columns.index(name) if name in columns else len(columns) for name in self._names]
        if len(places) == 1:
            return lambda kept: [[*kept, None][places[0]]]
        pick = itemgetter(*places)
        return lambda kept: list(pick([*kept, None]))


def schema_of(contract: Contract) -> pa.Schema:
    """Return the columns of a period's file."""
    return pa.schema([(name, _TYPES[column.stored]) for name, column in contract.columns.items()])


def compact(store: Store, contract: Contract, period: str, folder: Path) -> Compacted:
    """Write one period; returns what is known of it."""
    return store.read(partial(_compact, store.identity, contract, period, folder))  # type: ignore[no-any-return]


def _compact(identity: str, contract: Contract, period: str, folder: Path, view: View) -> Compacted:
    version = version_of(view.days(contract.project), contract, period)
    start, end = moments.bounds(period) or (moments.EARLIEST, moments.LATEST + 1)
    beside = folder / f".{period}.{os.getpid()}.part"
    folder.mkdir(parents=True, exist_ok=True)
    counter = _Counter(contract)
    try:
        schema = schema_of(contract)
        with pq.ParquetWriter(beside, schema, compression="zstd") as out:
            for batch in _batches(counter.counted(view.rows(contract.project, start, end), view), schema):
                out.write_table(batch, row_group_size=_GROUP)
        found = Compacted(
            identity=identity, contract=contract.digest, period=period, version=version, digest=counter.digest,
            rows=counter.rows, labelled=counter.labelled, newest=counter.newest,
        )  # fmt: skip
        _place(beside, folder, found)
    finally:
        beside.unlink(missing_ok=True)
    return found


class _Counter:
    """Counts and digests rows as they pass."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        columns = [[name, column.stored] for name, column in contract.columns.items()]
        self._hash = hashlib.sha256(_encode(columns))
        self.rows = self.labelled = 0
        self.newest: int | None = None

    @property
    def digest(self) -> str:
        """The digest of columns and rows so far."""
        return self._hash.hexdigest()

    def counted(self, rows: Iterator[Row], view: View) -> Iterator[list[Any]]:
        """Pass rows on."""
        spread = Rows(self._contract, view.shapes(self._contract.project))
        target = list(self._contract.columns).index(self._contract.target)
        timed, update = self._contract.event_time is not None, self._hash.update
        for row in rows:
            values = spread.values(row)
            update(_encode(values))
            self.rows += 1
            self.labelled += values[target] is not None
            if timed:
                self.newest = row.time  # they come in its order
            yield values


def _batches(rows: Iterator[list[Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    held: list[list[Any]] = []
    for values in rows:
        held.append(values)
        if len(held) == _ROWS:
            waiting.append(_table(held, schema))
            held = []
            if len(waiting) * _ROWS >= _GROUP:
                yield pa.concat_tables(waiting)
                waiting = []
    if held:
        waiting.append(_table(held, schema))
    if waiting:
        yield pa.concat_tables(waiting)


def _table(rows: list[list[Any]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _place(beside: Path, folder: Path, found: Compacted) -> None:
    """Put file and description into place; former files go once nothing names them."""
    file = folder / found.file
    beside.replace(file)
    described = folder / f".{found.period}.{os.getpid()}.json"
    described.write_bytes(msgspec.json.encode(found))
    described.replace(folder / f"{found.period}.json")
    for old in folder.glob(f"{found.period}-*.parquet"):
        digest = old.stem.removeprefix(f"{found.period}-")
        if old != file and len(digest) == len(found.digest[:32]):
            old.unlink(missing_ok=True)


def main() -> int:
    """Do one job; returns the exit code."""
    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        folder = Path(job.work, job.contract.project)
        tidy(folder, time.time() - _OLD_S)
        with closing(opened(job.store)) as store:
            for period in job.periods:
                _room(folder, job.least_free)
                compact(store, job.contract, period, folder)
    except Full as error:
        sys.stderr.write(f"{error}\n")
        return NO_ROOM
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return UNAVAILABLE
    return 0


def tidy(folder: Path, before: float) -> None:
    """Remove what killed processes left behind; what is younger may be somebody's who is at work."""
    for file in folder.glob(".*"):
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < before:
                file.unlink()


def _room(folder: Path, least: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < least:
        raise Full("no room for Parquet files")


if __name__ == "__main__":
    sys.exit(main())
