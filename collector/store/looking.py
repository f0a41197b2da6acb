"""How what is kept is read: everything within one transaction, so that it is one state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from collector.moments import DAY_US, EARLIEST
from collector.store.interface import Day, Joined, Labels, Past, Quarantined, Removed, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collector.store.database import Database

_FETCHED = 1000
_UP = 1_000_000  # days, more than there are from year 1 to 1970
REMOVED = ("removed_records", "removed_predictions", "removed_quarantined")
COUNTS = ("records", "predictions", "outcomes", "waiting", "quarantined", *REMOVED)
_QUARANTINED = "SELECT id, kind, received, sender, reasons, record FROM quarantine WHERE project = ? AND id"


class Looking:
    """A view of one state."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def _id(self, project: str) -> int:
        found = self._db.one("SELECT id FROM projects WHERE name = ?", project)
        return found[0] if found else 0

    def counts(self, project: str) -> dict[str, int]:
        """Return records, predictions, outcomes (all that were taken), waiting, quarantined, and what was removed."""
        found = dict(self._db.all("SELECT name, n FROM counts WHERE project = ?", self._id(project)))
        return {name: found.get(name, 0) for name in COUNTS}

    def days(self, project: str) -> list[Day]:
        """Return the days that have rows, oldest first."""
        sql = "SELECT day, rows, newest, version FROM days WHERE project = ? ORDER BY day"
        return [Day(*row) for row in self._db.all(sql, self._id(project))]

    def removed(self, project: str) -> list[Removed]:
        """Return the periods whose rows were removed, oldest first."""
        sql = (f"SELECT {', '.join(Removed._fields)} FROM removed "  # noqa: S608 # names of ours
               "WHERE project = ? ORDER BY start")  # fmt: skip
        return [Removed(*row) for row in self._db.all(sql, self._id(project))]

    def rows(self, project: str, start: int, end: int) -> Iterator[Row]:
        """Yield the rows of `[start, end)`, by event time and then key."""
        found = self._streamed(
            "SELECT r.time, r.shape, r.row, o.known FROM records r LEFT JOIN outcomes o "
            "ON o.project = r.project AND o.kind = 0 AND o.address = r.key "
            "WHERE r.project = ? AND r.time >= ? AND r.time < ? ORDER BY r.time, r.key",
            self._id(project), start, end,
        )  # fmt: skip
        return (Row(*row) for row in found)

    def _streamed(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        cursor = self._db.stream(sql, *values)
        while part := cursor.fetchmany(_FETCHED):
            yield from part

    def shapes(self, project: str) -> dict[int, list[str]]:
        """Return the columns of each shape."""
        found = self._db.all("SELECT id, columns FROM shapes WHERE project = ?", self._id(project))
        return {number: json.loads(columns) for number, columns in found}

    def joined(
        self, project: str, after: int, limit: int, bounds: tuple[int, int], release: str | None
    ) -> Iterator[Joined]:
        """Yield predictions with labels, in the order in which they were joined."""
        found = self._streamed(
            "SELECT j.id, p.time, p.happens, p.release, p.version, p.body, o.known_at, o.known FROM joined j "
            "JOIN predictions p ON p.id = j.prediction "
            "JOIN outcomes o ON o.project = p.project AND o.kind = 1 AND o.address = p.address "
            "WHERE j.project = ? AND j.id > ? AND p.happens >= ? AND p.happens < ? AND (? = 1 OR p.release = ?) "
            "ORDER BY j.id LIMIT ?",
            self._id(project), after, *bounds, int(release is None), release or "", limit,
        )  # fmt: skip
        return (Joined(*row) for row in found)

    def labels(self, project: str, bounds: tuple[int, int]) -> list[Labels]:
        """Count predictions by release and day; expired is what the newest outcome is past the time of."""
        number = self._id(project)
        clock = self._db.one("SELECT newest_outcome FROM clocks WHERE project = ?", number)
        newest = clock[0] if clock else EARLIEST
        # Days of event time; division is cut towards zero in both databases, so what lies before 1970 is moved up first.
        found = self._db.all(
            f"SELECT p.release, (p.happens + {_UP * DAY_US}) / {DAY_US} - {_UP} AS day, count(*), count(j.id), "  # noqa: S608 # a constant
            "sum(CASE WHEN j.id IS NULL AND p.due < ? THEN 1 ELSE 0 END) "
            "FROM predictions p LEFT JOIN joined j ON j.prediction = p.id "
            "WHERE p.project = ? AND p.happens >= ? AND p.happens < ? GROUP BY p.release, day ORDER BY day, p.release",
            newest, number, *bounds,
        )  # fmt: skip
        return [Labels(release, int(day), n, labelled, int(expired)) for release, day, n, labelled, expired in found]

    def quarantine(self, project: str, after: int, limit: int) -> Iterator[Quarantined]:
        """Yield quarantined records, oldest first."""
        found = self._streamed(f"{_QUARANTINED} > ? ORDER BY id LIMIT ?", self._id(project), after, limit)
        return (Quarantined(*row) for row in found)

    def quarantined(self, project: str, ids: Sequence[int]) -> dict[int, Quarantined]:
        """Return some of them by id."""
        found = self._db.among(f"{_QUARANTINED} IN (…)", (self._id(project),), ids)
        return {row[0]: Quarantined(*row) for row in found}

    def past(self, project: str, after: int, limit: int) -> Iterator[Past]:
        """Yield versions that others took the place of, in the order in which that happened."""
        sql = ("SELECT id, kind, version, replaced, shape, row FROM past WHERE project = ? AND id > ? "
               "ORDER BY id LIMIT ?")  # fmt: skip
        return (Past(*row) for row in self._streamed(sql, self._id(project), after, limit))
