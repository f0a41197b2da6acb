"""The door to what a release was learned from, and to what has arrived at the source since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from ci.adapters import tables
from ci.adapters.local import stale
from ci.adapters.process import run
from ci.errors import BadInput, StepError
from ci.retraining.rules import Fresh
from ci.yaml import mapping

if TYPE_CHECKING:
    from ci.ledger.history import History
    from ci.project import Project
    from ci.sources import AnyTable, Era


@dataclass(frozen=True)
class SourceData:
    """Satisfies `ci.retraining.interface.Data`."""

    project: Project
    history: History

    def fresh(self, version: str, as_of: date) -> Fresh:
        """Count rows at the source between the release's as_of and the new one; of tables without a time, any change."""
        former = self._as_of(version)
        if former is None:
            return Fresh(None, as_of, 0, f"(v{version})")
        if as_of <= former:
            return Fresh(former, as_of, 0)
        rows = sum(self._rows(era, former, as_of) for era in self.project.params.source.in_force)
        return Fresh(former, as_of, rows)

    def _as_of(self, version: str) -> date | None:
        """Read the params that the ledger keeps with the release."""
        event = self.history.registered(version)
        if event is None:
            return None
        path = f"{event.commit}:projects/{self.project.name}/params.yaml"
        try:
            found = run(["git", "show", path], timeout_s=30)
            return date.fromisoformat(str(mapping(found.out, path)["as_of"])) if found.code == 0 else None
        except (StepError, KeyError, ValueError):
            return None

    def _rows(self, era: Era, start: date, end: date) -> int:
        first, last = max(start, era.start or start), min(end, era.end or end)
        if first >= last:
            return 0
        timed = next((table for table in era.tables.values() if table.timed), None)
        if timed is None:
            return int(stale(self.project.name))
        return self._counted(timed, first, last)

    def _counted(self, table: AnyTable, start: date, end: date) -> int:
        """Count the rows of a table; of a wide one, only its time is read."""
        time = self.project.contract.event_time if table.kind == "collector" else table.time
        narrow = table.model_copy(update={"columns": [time]})
        reader = tables.opener_of(self.project)(narrow)
        midnight = datetime.min.time()
        return len(reader.read(datetime.combine(start, midnight), datetime.combine(end, midnight)))


def as_of(text: str | None, today: date) -> date:
    """
    Read `--as-of`; today if nothing is said.

    Raises:
        BadInput: no date.
    """
    try:
        return date.fromisoformat(text) if text else today
    except ValueError as error:
        raise BadInput(f"--as-of: {text!r} is not a date such as 2013-08-01") from error
