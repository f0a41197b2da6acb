"""How outcomes are taken: brought to what is known, and to the record and the prediction that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from collector.store.interface import OF_PREDICTION, OF_RECORD, Fate
from collector.store.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.store.interface import Answer, Batch, Outcome

_decode, _encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode


class Outcomes(Predictions):
    """Takes what became known later."""

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
