"""What is counted while deliveries are taken, and written with them: counts, days, clocks, former versions."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from collector import moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.store.database import Database


class Tally:
    """Counts within one transaction; `finish` writes them."""

    def __init__(self, db: Database, shapes: Callable[[int], dict[int, list[str]]]) -> None:
        self._db, self._shapes = db, shapes
        self._counts: Counter[tuple[int, str]] = Counter()
        self._clocks: dict[int, int] = {}  # newest moment at which something became known
        self._days: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])  # new rows, newest

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

    def _past(self, project: int, kind: str, key: bytes, version: int, when: int, shape: int, row: bytes) -> None:
        self._db.run(
            "INSERT INTO past (project, kind, key, version, replaced, shape, row) VALUES (?, ?, ?, ?, ?, ?, ?)",
            project, kind, key, version, when, shape, row,
        )  # fmt: skip
