"""How predictions are taken, and joined to labels that came in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.store.interface import OF_PREDICTION, Fate
from collector.store.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.store.interface import Answer, Batch, Prediction


class Predictions(Tally):
    """Takes prediction events."""

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
