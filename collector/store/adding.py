"""How deliveries are taken: all that one changes is one transaction, the counts and its place in the quarantine included."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from collector.store.interface import Answer, Fate
from collector.store.outcomes import Outcomes
from collector.store.records import Records
from collector.store.removing import Removing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.store.interface import Batch


class Adding(Records, Outcomes, Removing):
    """Adds deliveries within one transaction."""

    def add(self, project: int, batch: Batch, most_quarantined: int) -> Answer:
        """Take a delivery."""
        answer, batch = Answer(), self._open(project, batch)
        add = {"records": self._records, "events": self._predictions, "outcomes": self._outcomes}[batch.kind]
        if batch.items:
            add(project, batch, answer)
        done = [batch.replayed[item.place] for item in batch.items if item.place in batch.replayed]
        self._count(project, "quarantined", -self._release(project, done))
        if batch.refused:
            self._refuse(project, batch, answer, most_quarantined)
        answer.results.sort(key=lambda fate: fate.place)
        return answer

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
