"""
How deliveries are taken: duplicates told from restatements, outcomes brought to what they belong to.

All that a delivery changes is one transaction, the counts included. A delivery in which everything is new, as almost
all are, goes in with one statement; the others are held against what is there, record by record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from collector import moments
from collector.store.interface import Answer, Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collector.store.database import Database
    from collector.store.interface import Batch, Outcome, Prediction, Record

OF_RECORD, OF_PREDICTION = 0, 1
_RECORD = ("project", "key", "time", "version", "shape", "received", "row")
_decode, _encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode


class Adding:
    """Adds deliveries within one transaction, and keeps the counts; `finish` writes these."""

    def __init__(self, db: Database, shapes: Callable[[int], dict[int, list[str]]]) -> None:
        self._db, self._shapes = db, shapes
        self._counts: Counter[tuple[int, str]] = Counter()
        self._clocks: dict[int, int] = {}  # newest moment at which something became known
        self._days: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])  # new rows, newest

    def add(self, project: int, batch: Batch, most_quarantined: int) -> Answer:
        """Take a delivery."""
        answer = Answer()
        add = {"records": self._records, "events": self._predictions, "outcomes": self._outcomes}[batch.kind]
        if batch.items:
            add(project, batch, answer)
        done = [batch.replayed[item.place] for item in batch.items if item.place in batch.replayed]
        self._count(project, "quarantined", -self._release(project, done))
        if batch.refused:
            self._refuse(project, batch, answer, most_quarantined)
        answer.results.sort(key=lambda fate: fate.place)
        return answer

    def finish(self) -> None:
        """Write what was counted."""
        for (project, name), n in self._counts.items():
            if n:
                self._db.run("INSERT INTO counts (project, name, n) VALUES (?, ?, ?) "
                             "ON CONFLICT (project, name) DO UPDATE SET n = counts.n + excluded.n", project, name, n)  # fmt: skip
        for (project, day), (rows, newest) in self._days.items():
            self._db.run(
                "INSERT INTO days (project, day, rows, newest, version) VALUES (?, ?, ?, ?, 1) "
                "ON CONFLICT (project, day) DO UPDATE SET rows = days.rows + excluded.rows, version = days.version + 1, "
                "newest = CASE WHEN excluded.newest > days.newest THEN excluded.newest ELSE days.newest END",
                project, day, rows, newest,
            )  # fmt: skip

        for project, newest in self._clocks.items():
            self._db.run(
                "INSERT INTO clocks (project, newest_outcome) VALUES (?, ?) ON CONFLICT (project) DO UPDATE SET "
                "newest_outcome = excluded.newest_outcome WHERE excluded.newest_outcome > clocks.newest_outcome",
                project, newest,
            )  # fmt: skip

    def _count(self, project: int, name: str, n: int) -> None:
        self._counts[project, name] += n

    def _touch(self, project: int, time: int, rows: int) -> None:
        day = self._days[project, time // moments.DAY_US]
        day[0] += rows
        day[1] = max(day[1], time) if day[1] else time

    def _total(self, project: int, name: str) -> int:
        found = self._db.one("SELECT n FROM counts WHERE project = ? AND name = ?", project, name)
        return (found[0] if found else 0) + self._counts[project, name]

    # --- records

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

    def _past(self, project: int, kind: str, key: bytes, version: int, when: int, shape: int, row: bytes) -> None:
        self._db.run(
            "INSERT INTO past (project, kind, key, version, replaced, shape, row) VALUES (?, ?, ?, ?, ?, ?, ?)",
            project, kind, key, version, when, shape, row,
        )  # fmt: skip

    # --- predictions

    def _predictions(self, project: int, batch: Batch, answer: Answer) -> None:
        items: Sequence[Prediction] = batch.items
        sql = "SELECT address, release, id, restated, body, time FROM predictions WHERE project = ? AND address IN (…)"
        there = {(bytes(address), release): (number, restated, bytes(body), time)
                 for address, release, number, restated, body, time
                 in self._db.among(sql, (project,), list({item.address for item in items}))}  # fmt: skip
        fresh: dict[tuple[bytes, str], Prediction] = {}
        for item in items:
            key = item.address, item.release
            former = there.get(key)
            if former is None and key not in fresh:
                fresh[key] = item
            elif (former[2:] if former else (fresh[key].body, fresh[key].time)) == (item.body, item.time):
                answer.duplicates += 1
                answer.results.append(Fate(item.place, "duplicate"))
            else:
                if former is None:
                    self._insert_predictions(project, batch, [fresh[key]])
                    former = there[key] = self._prediction(project, key)
                self._restate_prediction(project, batch, item, former)
                there[key] = (former[0], former[1] + 1, item.body, item.time)
                answer.restated += 1
                answer.results.append(Fate(item.place, "restated"))
        self._insert_predictions(project, batch, [item for key, item in fresh.items() if key not in there])
        answer.accepted += len(fresh)
        self._count(project, "predictions", len(fresh))
        self._join(project, list({item.address for item in items}))

    def _insert_predictions(self, project: int, batch: Batch, items: Sequence[Prediction]) -> None:
        if not items:
            return
        self._db.insert(
            "INSERT INTO predictions (project, address, release, version, time, happens, due, restated, received, body) "
            "VALUES",
            [(project, item.address, item.release, item.version, item.time, item.happens, item.due, 0, batch.received,
              item.body) for item in items],
        )  # fmt: skip

    def _prediction(self, project: int, key: tuple[bytes, str]) -> tuple[int, int, bytes, int]:
        found = self._db.one("SELECT id, restated, body, time FROM predictions "
                             "WHERE project = ? AND address = ? AND release = ?", project, *key)  # fmt: skip
        assert found is not None  # noqa: S101 # it was inserted by the statement before
        return found[0], found[1], bytes(found[2]), found[3]

    def _restate_prediction(
        self, project: int, batch: Batch, item: Prediction, former: tuple[int, int, bytes, int]
    ) -> None:
        number, restated, body, _ = former
        self._past(project, "events", item.address, restated + 1, batch.received, 0, body)
        self._db.run(
            "UPDATE predictions SET version = ?, time = ?, happens = ?, due = ?, restated = ?, received = ?, body = ? "
            "WHERE id = ?", item.version, item.time, item.happens, item.due, restated + 1, batch.received, item.body, number,
        )  # fmt: skip

    # --- outcomes

    def _outcomes(self, project: int, batch: Batch, answer: Answer) -> None:
        items: Sequence[Outcome] = batch.items
        newest = max(item.known_at for item in items)
        self._clocks[project] = max(newest, self._clocks.get(project, newest))
        of_record = self._merged(project, batch, OF_RECORD, [(item, item.key) for item in items if item.key])
        of_prediction = self._merged(
            project, batch, OF_PREDICTION, [(item, item.address) for item in items if item.address]
        )
        for item in items:
            fates = {found[item.place] for found in (of_record, of_prediction) if item.place in found}
            if "restated" in fates:
                answer.restated += 1
                answer.results.append(Fate(item.place, "restated"))
            elif fates == {"duplicate"}:
                answer.duplicates += 1
                answer.results.append(Fate(item.place, "duplicate"))
            else:
                answer.accepted += 1

    def _merged(self, project: int, batch: Batch, kind: int, items: Sequence[tuple[Outcome, bytes]]) -> dict[int, Any]:
        """Bring outcomes to one kind of address; returns what became of each."""
        if not items:
            return {}
        addresses = list({address for _, address in items})
        there = self._there(project, kind, addresses)
        waiting = set(addresses) - self._found(project, kind, addresses)
        fates: dict[int, str] = {}
        changed: set[bytes] = set()
        for item, address in items:
            former = there.get(address)
            state, fate = _merge(former, item)
            if fate == "older":
                fate = self._older(project, batch, kind, address, item)
                fates[item.place] = fate
                continue
            fates[item.place] = fate
            if fate == "duplicate":
                continue
            if fate == "restated" and former is not None:
                self._past(project, "outcomes", address, former[2], batch.received, 0, _encode([kind, *former[:2]]))
            counted = kind == OF_RECORD or item.key is None  # an outcome with both addresses waits for its record
            if former is None and counted:
                self._count(project, "outcomes", 1)
                self._count(project, "waiting", 1 if address in waiting else 0)
            there[address] = (*state, former[3] if former else int(counted and address in waiting))
            changed.add(address)
        self._keep(project, batch, kind, [(address, there[address]) for address in changed])
        if kind == OF_PREDICTION:
            self._join(project, list(changed))
        else:
            times = "SELECT time FROM records WHERE project = ? AND key IN (…)"
            for (time,) in self._db.among(times, (project,), list(changed - waiting)):
                self._touch(project, time, 0)
        return fates

    def _older(self, project: int, batch: Batch, kind: int, address: bytes, item: Outcome) -> str:
        """Keep an outcome that comes after the one that took its place; once, however often it is sent."""
        word = _encode([kind, item.known_at, item.values])
        sql = "SELECT row FROM past WHERE project = ? AND kind = ? AND key = ?"
        if any(bytes(row) == word for (row,) in self._db.all(sql, project, "outcomes", address)):
            return "duplicate"
        self._past(project, "outcomes", address, 0, batch.received, 0, word)
        return "restated"

    def _there(self, project: int, kind: int, addresses: Sequence[bytes]) -> dict[bytes, tuple[int, Any, int, int]]:
        sql = ("SELECT address, known_at, known, version, waits FROM outcomes "
               "WHERE project = ? AND kind = ? AND address IN (…)")  # fmt: skip
        return {bytes(address): (known_at, _decode(bytes(known)), version, waits)
                for address, known_at, known, version, waits in self._db.among(sql, (project, kind), addresses)}  # fmt: skip

    def _found(self, project: int, kind: int, addresses: Sequence[bytes]) -> set[bytes]:
        table, column = ("records", "key") if kind == OF_RECORD else ("predictions", "address")
        sql = f"SELECT {column} FROM {table} WHERE project = ? AND {column} IN (…)"  # noqa: S608 # one of two
        return {bytes(found) for (found,) in self._db.among(sql, (project,), addresses)}

    def _keep(
        self, project: int, batch: Batch, kind: int, states: Sequence[tuple[bytes, tuple[int, Any, int, int]]]
    ) -> None:
        if not states:
            return
        self._db.insert(
            "INSERT INTO outcomes (project, kind, address, known_at, version, waits, labelled, received, known) VALUES",
            [(project, kind, address, known_at, version, waits, int(known.get(batch.target) is not None),
              batch.received, _encode(known)) for address, (known_at, known, version, waits) in states],
            "ON CONFLICT (project, kind, address) DO UPDATE SET known_at = excluded.known_at, "
            "version = excluded.version, labelled = excluded.labelled, received = excluded.received, "
            "known = excluded.known",
        )  # fmt: skip

    def _join(self, project: int, addresses: Sequence[bytes]) -> None:
        """Join predictions to labels that came in time, anew where either changed."""
        if not addresses or not self._total(project, "outcomes"):
            return
        sql = ("SELECT p.id, p.time, p.due, o.known_at, o.labelled, o.address, o.waits FROM predictions p JOIN outcomes o "
               "ON o.project = p.project AND o.kind = 1 AND o.address = p.address "
               "WHERE p.project = ? AND p.address IN (…)")  # fmt: skip
        found = list(self._db.among(sql, (project,), addresses))
        if not found:
            return
        self._db.change(
            "DELETE FROM joined WHERE project = ? AND prediction IN (…)", (project,), [row[0] for row in found]
        )
        rows = [
            (project, number, time)
            for number, time, due, known_at, labelled, *_ in found
            if labelled and known_at <= due
        ]
        if rows:
            self._db.insert("INSERT INTO joined (project, prediction, time) VALUES", rows)
        waited = [address for *_, address, waits in found if waits]
        if waited:
            ended = self._db.change(
                "UPDATE outcomes SET waits = 0 WHERE project = ? AND kind = ? AND waits = 1 AND address IN (…)",
                (project, OF_PREDICTION), waited,
            )  # fmt: skip
            self._count(project, "waiting", -ended)

    # --- quarantine

    def _release(self, project: int, ids: Sequence[int]) -> int:
        return self._db.change("DELETE FROM quarantine WHERE project = ? AND id IN (…)", (project,), ids)

    def forget(self, project: int, number: int) -> bool:
        """Remove a quarantined record."""
        done = self._release(project, [number])
        self._count(project, "quarantined", -done)
        return bool(done)

    def _refuse(self, project: int, batch: Batch, answer: Answer, most: int) -> None:
        room = most - self._total(project, "quarantined")
        for item in batch.refused:
            number = batch.replayed.get(item.place)
            if number is None:
                number, new = self._quarantine(project, batch, item, room)
                room -= new
                self._count(project, "quarantined", new)
            else:
                self._db.run("UPDATE quarantine SET reasons = ? WHERE project = ? AND id = ?",
                             msgspec.json.encode(item.reasons), project, number)  # fmt: skip
            answer.rejected += 1
            answer.results.append(Fate(item.place, "rejected", item.reasons, number))

    def _quarantine(self, project: int, batch: Batch, item: Any, room: int) -> tuple[int | None, int]:
        """Keep a refused record once, however often it is sent; nothing beyond the room that there is."""
        digest = sha256(item.record or msgspec.json.encode([batch.received, item.place])).digest()[:16]
        found = self._db.one("SELECT id FROM quarantine WHERE project = ? AND kind = ? AND digest = ?",
                             project, batch.kind, digest)  # fmt: skip
        if found or room <= 0:
            return (found[0] if found else None), 0
        made = self._db.one(
            "INSERT INTO quarantine (project, kind, received, sender, digest, reasons, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            project, batch.kind, batch.received, batch.sender, digest, msgspec.json.encode(item.reasons), item.record,
        )  # fmt: skip
        return (made[0] if made else None), 1


def _merge(former: tuple[int, Any, int, int] | None, item: Outcome) -> tuple[tuple[int, Any, int], str]:
    """
    Bring an outcome to what is known: of two values the one that became known later counts, whichever came first.

    Returns known_at, values and version, and what became of it.
    """
    if former is None:
        return (item.known_at, item.values, 1), "accepted"
    known_at, known, version, _ = former
    newer = item.known_at >= known_at
    merged = {**known, **item.values} if newer else {**item.values, **known}
    if merged == known:
        same = all(known[name] == value for name, value in item.values.items())
        return (known_at, known, version), "duplicate" if same else "older"
    added = all(name not in known or known[name] == value for name, value in item.values.items())
    return (max(known_at, item.known_at), merged, version + 1), "accepted" if added else "restated"
