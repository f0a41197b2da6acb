"""
How records are taken: duplicates told from restatements.

A delivery in which everything is new, as almost all are, goes in with one statement; the others are held against what
is there, record by record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from collector import moments
from collector.store.interface import OF_RECORD, Fate
from collector.store.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.store.interface import Answer, Batch, Record

_RECORD = ("project", "key", "time", "version", "shape", "received", "row")
_decode = msgspec.msgpack.Decoder().decode


class Records(Tally):
    """Takes contract rows."""

    def _records(self, project: int, batch: Batch, answer: Answer) -> None:
        rows = [(project, item.key, item.time, 1, batch.shape, batch.received, item.row) for item in batch.items]
        self._db.run("SAVEPOINT new")
        if self._db.all_new("records", _RECORD, rows):
            fresh: Sequence[Record] = batch.items
        else:
            self._db.run("ROLLBACK TO SAVEPOINT new")
            fresh = self._known_records(project, batch, answer)
        self._db.run("RELEASE SAVEPOINT new")
        answer.accepted += len(fresh)
        for item in fresh:
            self._touch(project, item.time, 1)
        self._count(project, "records", len(fresh))
        if fresh and self._total(project, "waiting"):
            found = self._db.change(
                "UPDATE outcomes SET waits = 0 WHERE project = ? AND kind = ? AND waits = 1 AND address IN (…)",
                (project, OF_RECORD), [item.key for item in fresh],
            )  # fmt: skip
            self._count(project, "waiting", -found)

    def _insert_records(self, rows: Sequence[Sequence[Any]]) -> int:
        return self._db.insert(
            "INSERT INTO records (project, key, time, version, shape, received, row) VALUES", rows,
            "ON CONFLICT (project, key) DO NOTHING",
        )  # fmt: skip

    def _known_records(self, project: int, batch: Batch, answer: Answer) -> list[Record]:
        """Take a delivery of which something is there already, or comes twice."""
        sql = "SELECT key, time, version, shape, row FROM records WHERE project = ? AND key IN (…)"
        keys = list({item.key for item in batch.items})
        there = {bytes(key): (time, version, shape, bytes(row))
                 for key, time, version, shape, row in self._db.among(sql, (project,), keys)}  # fmt: skip
        fresh: dict[bytes, Record] = {}
        for item in batch.items:
            former = there.get(item.key)
            if former is None:
                fresh[item.key] = item
                there[item.key] = (item.time, 1, batch.shape, item.row)
            elif self._same(project, former[2], former[3], batch.shape, item.row):
                answer.duplicates += 1
                answer.results.append(Fate(item.place, "duplicate"))
            else:
                if item.key in fresh:  # twice within one delivery: what came first has to lie there to be replaced
                    self._insert_records([(project, item.key, former[0], 1, batch.shape, batch.received, former[3])])
                self._restate(project, batch, item, former)
                there[item.key] = (item.time, former[1] + 1, batch.shape, item.row)
                answer.restated += 1
                answer.results.append(Fate(item.place, "restated"))
        rows = [(project, item.key, item.time, 1, batch.shape, batch.received, item.row) for item in fresh.values()]
        if rows:
            self._insert_records(rows)
        return list(fresh.values())

    def _same(self, project: int, shape: int, row: bytes, other_shape: int, other: bytes) -> bool:
        """Say whether two rows say the same; those of different contracts are compared column by column."""
        if row == other or shape == other_shape:
            return row == other
        shapes = self._shapes(project)
        one, two = (dict(zip(shapes[s], _decode(r), strict=True)) for s, r in ((shape, row), (other_shape, other)))
        return all(one.get(name) == two.get(name) for name in {*one, *two})

    def _restate(self, project: int, batch: Batch, item: Record, former: tuple[int, int, int, bytes]) -> None:
        time, version, shape, row = former
        self._past(project, "records", item.key, version, batch.received, shape, row)
        self._db.run(
            "UPDATE records SET time = ?, version = ?, shape = ?, received = ?, row = ? WHERE project = ? AND key = ?",
            item.time, version + 1, batch.shape, batch.received, item.row, project, item.key,
        )  # fmt: skip
        moved = time // moments.DAY_US != item.time // moments.DAY_US
        self._touch(project, item.time, 1 if moved else 0)
        if moved:
            self._touch(project, time, -1)
