"""A transaction that writes, whatever database is behind it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from collector.store.adding import Adding
from collector.store.schema import SCHEMA_VERSION, TABLES
from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.store.database import Database
    from collector.store.interface import Answer, Batch, Removed, Until


class Numbers:
    """Projects and shapes by number, remembered between transactions; numbers are never given twice."""

    def __init__(self) -> None:
        self.projects: dict[str, int] = {}
        self.shapes: dict[int, dict[int, list[str]]] = {}


class Writing:
    """One transaction."""

    def __init__(self, db: Database, numbers: Numbers) -> None:
        self._db, self._numbers = db, numbers
        self._adding = Adding(db, self._shapes)

    def add(self, batch: Batch, most_quarantined: int) -> Answer:
        """Take a delivery."""
        return self._adding.add(self._project(batch.project), batch, most_quarantined)

    def forget(self, project: str, quarantined: int) -> bool:
        """Remove a quarantined record; False when there is none."""
        return self._adding.forget(self._project(project), quarantined)

    def shape(self, project: str, columns: Sequence[str]) -> int:
        """Return the number of these columns in this order."""
        number, spelt = self._project(project), json.dumps(list(columns))
        self._db.run("INSERT INTO shapes (project, columns) VALUES (?, ?) ON CONFLICT DO NOTHING", number, spelt)
        found = self._db.one("SELECT id FROM shapes WHERE project = ? AND columns = ?", number, spelt)
        return int(found[0]) if found else 0

    def remove(self, project: str, period: Removed) -> bool:
        """Close a period, whose rows `tidy` then removes; False if it has changed since it was described."""
        return self._adding.remove(self._project(project), period)

    def tidy(self, project: str, until: Until, most: int) -> int:
        """Remove some of what may go, not more than `most` of a kind; returns how many, 0 when all is gone."""
        return self._adding.tidy(self._project(project), until, most)

    def finish(self) -> None:
        """Write what was counted."""
        self._adding.finish()

    def _project(self, name: str) -> int:
        if name not in self._numbers.projects:
            found = self._db.one("SELECT id FROM projects WHERE name = ?", name)
            if found is None:
                found = self._db.one("INSERT INTO projects (name) VALUES (?) RETURNING id", name)
            self._numbers.projects[name] = found[0] if found else 0
        return self._numbers.projects[name]

    def _shapes(self, project: int, *wanted: int) -> dict[int, list[str]]:
        """Return shapes by number; another instance over the same store may have added some since we looked."""
        if not self._numbers.shapes.get(project, {}).keys() >= set(wanted):
            found = self._db.all("SELECT id, columns FROM shapes WHERE project = ?", project)
            self._numbers.shapes[project] = {number: json.loads(columns) for number, columns in found}
        return self._numbers.shapes[project]


def prepare(db: Database, words: dict[str, str], where: str) -> str:
    """
    Make the tables where there are none; returns the store's identity.

    Raises:
        BadOption: the tables are of another version of this service.
    """
    for table in TABLES:
        db.run(table.format(**words))
    db.run("INSERT INTO about (name, value) VALUES ('schema', ?), ('identity', ?) ON CONFLICT DO NOTHING",
           str(SCHEMA_VERSION), uuid.uuid4().hex)  # fmt: skip
    about = dict(db.all("SELECT name, value FROM about"))
    if about["schema"] != str(SCHEMA_VERSION):
        raise BadOption(f"COLLECTOR_STORE: {where} has tables of version {about['schema']}, not {SCHEMA_VERSION}")
    return str(about["identity"])
