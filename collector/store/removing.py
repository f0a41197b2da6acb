"""What may go: rows of periods that were published elsewhere, predictions no label can reach, and what nobody corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collector import moments
from collector.store.interface import OF_PREDICTION, OF_RECORD, Reason, Refused, Removed
from collector.store.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.store.interface import Batch, Until

_VERSION = "SELECT COALESCE(SUM(version), 0) FROM days WHERE project = ? AND day >= ? AND day < ?"


class Removing(Tally):
    """Removes within one transaction, a part at a time, so that deliveries do not wait for long."""

    def remove(self, project: int, period: Removed) -> bool:
        """Close a period; False if it has changed since it was described."""
        start, stop = period.start // moments.DAY_US, period.stop // moments.DAY_US
        found = self._db.one(_VERSION, project, start, stop)
        if found is None or int(found[0]) != period.version:
            return False
        self._db.insert(f"INSERT INTO removed (project, {', '.join(Removed._fields)}) VALUES", [(project, *period)],
                        "ON CONFLICT DO NOTHING")  # fmt: skip
        return True

    def tidy(self, project: int, until: Until, most: int) -> int:
        """Remove some of what may go."""
        closed = self._db.all("SELECT start, stop FROM removed WHERE project = ?", project)
        done = sum(self._rows_of(project, start, stop, most) for start, stop in closed)
        if until.happened is not None and until.received is not None:
            done += self._old_predictions(project, until.happened, until.received, most)
            done += self._unmet_outcomes(project, until.received, most)
        if until.refused is not None:
            done += self._old_quarantine(project, until.refused, most)
        return done

    def _open(self, project: int, batch: Batch) -> Batch:
        """Refuse rows of periods that are closed: beside what was published, they would be a period of their own."""
        if batch.kind != "records" or not batch.items:
            return batch
        closed = self._db.all("SELECT start, stop, period FROM removed WHERE project = ?", project)
        late = {
            item.place: period for start, stop, period in closed for item in batch.items if start <= item.time < stop
        }
        if not late:
            return batch
        refused = [
            Refused(item.place, [Reason(None, f"comes too late: {late[item.place]} was published and removed here")],
                    batch.spell(item.row))
            for item in batch.items if item.place in late
        ]  # fmt: skip
        items = [item for item in batch.items if item.place not in late]
        return replace(batch, items=items, refused=[*batch.refused, *refused])

    def _rows_of(self, project: int, start: int, stop: int, most: int) -> int:
        sql = "SELECT key FROM records WHERE project = ? AND time >= ? AND time < ? LIMIT ?"
        keys = [bytes(key) for (key,) in self._db.all(sql, project, start, stop, most)]
        self._outcomes_go(project, OF_RECORD, keys)
        self._past_goes(project, "records", keys)
        self._db.change("DELETE FROM records WHERE project = ? AND key IN (…)", (project,), keys)
        self._count(project, "removed_records", len(keys))
        return len(keys)

    def _old_predictions(self, project: int, happened: int, received: int, most: int) -> int:
        sql = "SELECT id, address FROM predictions WHERE project = ? AND happens < ? AND received < ? LIMIT ?"
        found = self._db.all(sql, project, happened, received, most)
        ids, addresses = [number for number, _ in found], list({bytes(address) for _, address in found})
        self._db.change("DELETE FROM joined WHERE project = ? AND prediction IN (…)", (project,), ids)
        self._db.change("DELETE FROM predictions WHERE project = ? AND id IN (…)", (project,), ids)
        others = "SELECT address FROM predictions WHERE project = ? AND address IN (…)"  # of another release
        stay = {bytes(address) for (address,) in self._db.among(others, (project,), addresses)}
        gone = [address for address in addresses if address not in stay]
        self._outcomes_go(project, OF_PREDICTION, gone)
        self._past_goes(project, "events", gone)
        self._count(project, "removed_predictions", len(ids))
        return len(ids)

    def _unmet_outcomes(self, project: int, received: int, most: int) -> int:
        """Remove outcomes whose prediction never came, or is gone."""
        sql = ("SELECT o.address, o.waits FROM outcomes o WHERE o.project = ? AND o.kind = ? AND o.received < ? "
               "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.project = o.project AND p.address = o.address) "
               "LIMIT ?")  # fmt: skip
        found = self._db.all(sql, project, OF_PREDICTION, received, most)
        self._outcomes_go(project, OF_PREDICTION, [bytes(address) for address, _ in found])
        self._count(project, "waiting", -sum(waits for _, waits in found))
        return len(found)

    def _old_quarantine(self, project: int, before: int, most: int) -> int:
        sql = "SELECT id FROM quarantine WHERE project = ? AND received < ? ORDER BY id LIMIT ?"
        ids = [number for (number,) in self._db.all(sql, project, before, most)]
        self._db.change("DELETE FROM quarantine WHERE project = ? AND id IN (…)", (project,), ids)
        self._count(project, "quarantined", -len(ids))
        self._count(project, "removed_quarantined", len(ids))
        return len(ids)

    def _outcomes_go(self, project: int, kind: int, addresses: Sequence[bytes]) -> None:
        sql = "DELETE FROM outcomes WHERE project = ? AND kind = ? AND address IN (…)"
        self._db.change(sql, (project, kind), addresses)
        self._past_goes(project, "outcomes", addresses)

    def _past_goes(self, project: int, kind: str, keys: Sequence[bytes]) -> None:
        self._db.change("DELETE FROM past WHERE project = ? AND kind = ? AND key IN (…)", (project, kind), keys)
