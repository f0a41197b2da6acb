"""
Ingest: from a source to Parquet, one file per period, and a manifest.

Incremental: a period is read again only if its bounds, its source, the contract or the project's own reading code
changed. Crash-safe: files are written beside and renamed, the manifest last; what no manifest names is removed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ci.contract import MAX_COLUMNS, plain
from ci.data import rows
from ci.data.assemble import assembled, cut
from ci.data.manifest import Manifest, Part, intact, load_manifest
from ci.data.periods import Period, periods
from ci.data.told import told
from ci.errors import BadInput, StepError
from ci.files import emptied, said_plainly, sha256, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future
    from datetime import datetime

    import pandas as pd

    from ci.progress import Progress
    from ci.project import Project
    from ci.report import Result
    from ci.sources import AnyTable, Era


class TableReader(Protocol):
    """A table, wherever it lies; moments are naive, None means unbounded."""

    def schema(self, start: datetime | None, end: datetime | None) -> dict[str, str]:
        """Return column to type, as delivered."""

    def digest(self, start: datetime | None, end: datetime | None) -> str:
        """Return a digest of what `read` would see."""

    def read(self, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        """Return the rows whose time lies in `[start, end)`, or all if the table has no time."""


@dataclass
class _Ingest:
    project: Project
    folder: Path
    open_table: Callable[[AnyTable], TableReader]
    former: dict[str, Part]
    writing: Future[Part] | None = None
    readers: dict[tuple[str, str, str], TableReader] = field(default_factory=dict)
    read: list[Part] = field(default_factory=list)
    restated: list[tuple[Part, Part]] = field(default_factory=list)

    def kept(self, period: Period) -> Part | None:
        """Return the former part of a period if it would be read the same again."""
        former = self.former.get(period.name)
        readers = {name: self._reader(period, name) for name in period.era.tables}
        same = former and former.source == self._source(period, readers) and _bounds(former) == _iso(period)
        return former if same else None

    def parts(self, wanted: Iterable[Period]) -> list[Part]:
        """Read what has to be read; a period is written while the next one is read, so two of them are in memory."""
        with ThreadPoolExecutor(1, "write") as writer:
            found = [self._part(period, writer) for period in wanted]
            parts = [part if isinstance(part, Part) else part.result() for part in found]
        for part in parts:
            former = self.former.get(part.period)
            if part is not former:
                self.read.append(part)
                if former and former.closed and former.sha256 != part.sha256:
                    self.restated.append((former, part))
        return parts

    def _part(self, period: Period, writer: ThreadPoolExecutor) -> Part | Future[Part]:
        kept = self.kept(period)
        if kept and intact(self.folder, kept):
            return kept
        frame = self.rows(period)
        described = self._described(period, frame)
        if self.writing:
            self.writing.result()
        self.writing = writer.submit(self._written, described, frame)
        return self.writing

    @property
    def staged(self) -> Path:
        """Where new parts wait until all are there: a former version is never half replaced."""
        return self.folder / ".new"

    def place(self) -> None:
        """Move the new parts to where the manifest that follows will name them."""
        with said_plainly(self.folder):
            for part in self.read:
                (self.staged / part.file).replace(self.folder / part.file)

    def _reader(self, period: Period, name: str) -> TableReader:
        table = period.era.tables[name]
        key = (period.era.name, name, table.kind)
        if key not in self.readers:
            self.readers[key] = self.open_table(table)
        return self.readers[key]

    def _source(self, period: Period, readers: Mapping[str, TableReader]) -> str:
        """Digest everything that the rows of a period depend on, apart from its bounds."""
        return sha256_of(
            {
                "tables": {name: reader.digest(*self._window(period, name)) for name, reader in readers.items()},
                "era": _said(period.era),
                "code": [sha256(file) for file in self._code(period)],
                "contract": sha256_of(plain(self.project.contract)),
                "as_of": self._as_of(period),
            }
        )

    def _window(self, period: Period, name: str) -> tuple[datetime | None, datetime | None]:
        """Say which moments of a table the rows of a period may come from."""
        table = period.era.tables[name]
        if period.start is None or period.end is None or not table.timed:
            return None, None
        margin = timedelta(days=self._margin_days(table))
        return period.start - margin, period.end + margin

    def _margin_days(self, table: AnyTable) -> int:
        """Rows that are taken as they are keep the time by which they are read: neighbours are no business of theirs."""
        if table.kind == "collector":
            return 0
        as_it_is = table.time == self.project.contract.event_time and self.project.code("assemble") is None
        return (0 if as_it_is else 1) if table.margin_days is None else table.margin_days

    def _whole(self, period: Period) -> bool:
        """Say whether exactly the period was read, so that every row must lie in it."""
        tables = period.era.tables.values()
        return all(table.timed and not self._margin_days(table) for table in tables)

    def _code(self, period: Period) -> list[Path]:
        """Return the code that makes rows of what was read; contract rows are nobody's to assemble."""
        reading = Path(rows.__file__)
        return [reading] if _finished(period) else [self.project.code_file("assemble"), reading]

    def _as_of(self, period: Period) -> str | None:
        """Without periods, only the build's logical date says that a database may hold something new."""
        timeless = period.start is None and any(table.kind == "sql" for table in period.era.tables.values())
        return self.project.params.as_of.isoformat() if timeless else None

    def rows(self, period: Period) -> pd.DataFrame:
        """Read a period and make rows of it."""
        readers = {name: self._reader(period, name) for name in period.era.tables}
        tables = {name: reader.read(*self._window(period, name)) for name, reader in readers.items()}
        return self._assembled(period, tables)

    def _described(self, period: Period, frame: pd.DataFrame) -> dict[str, Any]:
        """Say of a period what the manifest will say, but for its file."""
        readers = {name: self._reader(period, name) for name in period.era.tables}
        time = self.project.contract.event_time
        return {
            "period": period.name,
            "era": period.era.name,
            "start": _iso(period)[0],
            "end": _iso(period)[1],
            "closed": period.closed,
            "rows": len(frame),
            "newest": frame[time].max().isoformat() if time and len(frame) else None,
            "source": self._source(period, readers),
            "tables": {name: reader.schema(*self._window(period, name)) for name, reader in readers.items()},
        }

    def _written(self, described: dict[str, Any], frame: pd.DataFrame) -> Part:
        path = self.staged / f"{described['period']}.parquet"
        with said_plainly(path):
            rows.write_parquet(frame, path)
        return Part(**described, file=path.name, sha256=sha256(path))

    def _assembled(self, period: Period, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        frame = next(iter(tables.values())) if _finished(period) else assembled(self.project, tables)
        if len(frame.columns) > MAX_COLUMNS:
            raise BadInput(f"{self.project.name}: {len(frame.columns):,} columns, at most {MAX_COLUMNS:,} are allowed",
                           hint="name the ones you need under `columns` of the table in params.yaml")  # fmt: skip
        contract = self.project.contract
        frame = rows.conformed(frame, contract)
        if contract.event_time is None:
            return frame.reset_index(drop=True)
        frame = cut(frame, period, contract.event_time, whole=self._whole(period))
        order = [contract.event_time, *[key for key in contract.keys if key in frame and key != contract.event_time]]
        return frame.sort_values(order, kind="stable", ignore_index=True)


def ingest(project: Project, open_table: Callable[[AnyTable], TableReader], folder: Path, progress: Progress) -> Result:
    """
    Bring `folder` to the project's `as_of`.

    Raises:
        BadInput: the source or the project's code is wrong, or rows have no event time.
        Unavailable: a source did not answer.
    """
    wanted = periods(project.params.source, project.params.as_of, timeless=project.contract.event_time is None)
    work = _Ingest(project, folder, open_table, _former(folder))
    with emptied(work.staged):
        parts = work.parts(progress.over(wanted, f"ingest {project.name}"))
        if not any(part.rows for part in parts):
            raise BadInput(f"{project.name}: the source has no rows before {project.params.as_of}",
                           hint="look at as_of, the eras and the event time")  # fmt: skip
        work.place()
    manifest = Manifest(
        project=project.name,
        as_of=project.params.as_of.isoformat(),
        contract=sha256_of(plain(project.contract)),
        columns=_columns(folder, parts),
        parts=parts,
    )
    manifest.save(folder)
    _tidy(folder, manifest)
    return told(manifest, work.read, work.restated, folder)


def outdated(project: Project, open_table: Callable[[AnyTable], TableReader], folder: Path) -> bool:
    """
    Say whether `ingest` would read anything again, without reading rows or asking a collection service.

    Raises:
        BadInput: the source or the project's code is wrong.
        Unavailable: a source did not answer.
    """
    return bool(pending(project, open_table, folder, collected=False))


def pending(
    project: Project, open_table: Callable[[AnyTable], TableReader], folder: Path, *, collected: bool = True
) -> list[Period]:
    """List the periods that `ingest` would read, oldest first, without those of a collection service if not `collected`."""
    wanted = periods(project.params.source, project.params.as_of, timeless=project.contract.event_time is None)
    work = _Ingest(project, folder, open_table, _former(folder))
    return [p for p in wanted if (collected or not _collects(p.era)) and work.kept(p) is None]


def matching(project: Project, open_table: Callable[[AnyTable], TableReader], folder: Path) -> list[Period]:
    """List the periods of a collection service that lie here, intact, exactly as it has them now; raises as `ingest`."""
    wanted = periods(project.params.source, project.params.as_of, timeless=project.contract.event_time is None)
    work = _Ingest(project, folder, open_table, _former(folder))
    return [p for p in wanted if _finished(p) and (part := work.kept(p)) and intact(folder, part)]


def rows_of(project: Project, open_table: Callable[[AnyTable], TableReader], period: Period) -> pd.DataFrame:
    """Read one period as `ingest` does, without keeping anything; raises as `ingest` does."""
    return _Ingest(project, Path(), open_table, {}).rows(period)


def _finished(period: Period) -> bool:
    """Say whether the source delivers rows of the contract, as the collection service does."""
    return [table.kind for table in period.era.tables.values()] == ["collector"]


def _collects(era: Era) -> bool:
    return any(table.kind == "collector" for table in era.tables.values())


def _said(era: Era) -> dict[str, Any]:
    """Spell what an era says of its rows: of a service, not where it is and how long it may take."""
    spelled = era.model_dump(mode="json", exclude={"start", "end"})
    for name, table in era.tables.items():
        if table.kind == "collector":
            spelled["tables"][name] = {"kind": table.kind, "columns": table.columns}
    return spelled


def _former(folder: Path) -> dict[str, Part]:
    try:
        return {part.period: part for part in load_manifest(folder).parts}
    except StepError:  # none yet, or one that a former version wrote: everything is read again
        return {}


def _iso(period: Period) -> tuple[str | None, str | None]:
    return (
        period.start.isoformat() if period.start else None,
        period.end.isoformat() if period.end else None,
    )


def _bounds(part: Part) -> tuple[str | None, str | None]:
    return part.start, part.end


def _columns(folder: Path, parts: list[Part]) -> dict[str, str]:
    """Return the schema of the newest period with rows."""
    import pyarrow.parquet as pq

    newest = next((part for part in reversed(parts) if part.rows), None)
    if newest is None:
        return {}
    frame = pq.read_schema(folder / newest.file).empty_table().to_pandas()
    return {str(name): rows.type_of(frame[name]) for name in frame.columns}


def _tidy(folder: Path, manifest: Manifest) -> None:
    named = {part.file for part in manifest.parts} | {"manifest.json"}
    for path in folder.iterdir():
        if path.name not in named and path.is_file():
            path.unlink()
