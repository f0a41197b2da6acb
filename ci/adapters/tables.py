"""
The door to sources: packages, files, HTTP and SQL become tables that can be read by period.

A CSV is converted to Parquet once, into the cache, so that reading one period does not scan the whole file again.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import fetch
from ci.adapters.bounds import bounds_of, may_overlap
from ci.contract import MAX_COLUMNS
from ci.errors import BadInput, Unavailable
from ci.files import replacing, said_plainly, sha256, sha256_of
from ci.sources import AnyTable, CollectorTable, FileTable, HttpTable, SqlTable, Tabular

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds

    from ci.adapters.bounds import Bounds
    from ci.data.ingest import TableReader
    from ci.project import Project


_CONVERSION = 2  # one more whenever a CSV is read in another way: what was converted before is not found again
_QUERY_FAULT = re.compile("syntax|no such (table|column|function)", re.IGNORECASE)  # SQLite calls them operational


def opener_of(project: Project) -> Callable[[AnyTable], TableReader]:
    """Return the function that opens the tables of a project, in the user's own cache."""
    return opener(fetch.cache_folder(), project.contract.texts, project)


def opener(
    cache: Path, texts: Collection[str] = (), project: Project | None = None
) -> Callable[[AnyTable], TableReader]:
    """
    Return the function that opens a table of any kind; `cache` keeps what was fetched and converted.

    Columns of a CSV in `texts` are text, whatever their values look like. Only of a project can a collection service
    be asked.
    """
    codes = tuple(sorted(texts))

    def open_table(table: AnyTable) -> TableReader:
        if isinstance(table, SqlTable):
            return SqlReader(table)
        if isinstance(table, CollectorTable):
            return _collected(table, project, cache)
        if isinstance(table, FileTable):
            return FilesReader(table, _existing(table.path), cache, codes)
        if isinstance(table, HttpTable):
            return FilesReader(table, [fetch.download(table, cache)], cache, codes)
        return FilesReader(table, [fetch.from_package(table, cache)], cache, codes)

    return open_table


def _collected(table: CollectorTable, project: Project | None, cache: Path) -> TableReader:
    from ci.adapters.collected import CollectorReader

    if project is None:
        raise BadInput("source kind collector: a project must be there first", hint="begin with its files")
    return CollectorReader(project, table, cache)


def _existing(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_file():  # its name may well hold a bracket
        return [path]
    if path.is_dir():
        found = [item for item in path.rglob("*") if item.is_file() and not item.name.startswith((".", "_"))]
    else:
        found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207  # may be absolute
    if not found:
        raise BadInput(f"{pattern}: no such file")
    return sorted(found)


@dataclass
class FilesReader:
    """A table in files: Parquet as it is, CSV through the cache."""

    table: Tabular
    files: list[Path]
    cache: Path
    texts: tuple[str, ...] = ()

    def schema(self, start: datetime | None, end: datetime | None) -> dict[str, str]:
        """Return column to type, as delivered; how wide a number or text is stored makes no difference."""
        files = self._overlapping(start, end) or self.files
        delivered, wanted = self._datasets[files[-1]].schema, self.table.columns
        kinds = zip(delivered.names, delivered.types, strict=True)
        return {name: kind_of(kind) for name, kind in kinds if wanted is None or name in wanted}

    def digest(self, start: datetime | None, end: datetime | None) -> str:
        """Digest the files that have rows in the window; other files may come and go."""
        return sha256_of([self._digests[path] for path in self._overlapping(start, end)])

    def read(self, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        """Read the rows in the window; row groups outside are not touched."""
        import pandas as pd
        import pyarrow as pa

        found: list[pd.DataFrame] = []
        for path in self._overlapping(start, end) or self.files[:1]:
            try:
                rows = self._datasets[path].to_table(columns=self.table.columns, filter=self._filter(path, start, end))
            except (pa.ArrowException, OSError, ValueError) as error:
                raise BadInput(f"{path}: {_line(error)}") from error
            found.append(rows.to_pandas())
        return found[0] if len(found) == 1 else pd.concat(found, ignore_index=True)

    @cached_property
    def _digests(self) -> dict[Path, str]:
        return {path: sha256(path) for path in self.files}

    @cached_property
    def _datasets(self) -> dict[Path, ds.Dataset]:
        made = {}
        for path in self.files:
            made[path] = _dataset(self._parquet(path), path)
            self._has_columns(path, made[path].schema)
        return made

    def _has_columns(self, path: Path, schema: pa.Schema) -> None:
        if len(schema.names) > MAX_COLUMNS and not self.table.columns:
            raise BadInput(
                f"{path}: {len(schema.names):,} columns, at most {MAX_COLUMNS:,} are read",
                hint="name the ones you need under `columns` of the table",
            )
        for name in [*(self.table.columns or []), *([self.table.time] if self.table.time else [])]:
            if name not in schema.names:
                raise BadInput(f"{path}: no column {name}", hint=f"columns: {', '.join(schema.names[:30])}")

    def _parquet(self, path: Path) -> Path:
        name = path.name.removesuffix(".gz").removesuffix(".zip")
        named_csv = name.endswith((".csv", ".tsv", ".txt"))
        if self.table.format == "parquet" or (self.table.format == "auto" and not named_csv):
            return path
        from ci.adapters.csv import to_parquet

        said = "separator" in self.table.model_fields_set
        separator = "\t" if name.endswith(".tsv") and not said else self.table.separator
        encoding = self.table.encoding
        made_of = sha256_of([_CONVERSION, self._digests[path], separator, encoding, self.texts])
        converted = self.cache / "tables" / f"{made_of}.parquet"
        if not converted.exists():
            with replacing(converted) as beside:
                to_parquet(path, beside, separator=separator, encoding=encoding, texts=self.texts)
        return converted

    def _overlapping(self, start: datetime | None, end: datetime | None) -> list[Path]:
        if start is None or self.table.time is None or len(self.files) == 1:
            return self.files
        if end is None:
            return self.files
        near = [path for path in self.files if may_overlap(self._bounds[path], start, end)]
        return [path for path in near if self._datasets[path].count_rows(filter=self._filter(path, start, end))]

    @cached_property
    def _bounds(self) -> dict[Path, Bounds | None]:
        return {path: bounds_of(self._datasets[path], str(self.table.time)) for path in self.files}

    def _filter(self, path: Path, start: datetime | None, end: datetime | None) -> Any:
        """Build the condition on the time column, whatever its type; ISO 8601 text sorts like time."""
        if start is None or end is None or self.table.time is None:
            return None
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = self._datasets[path].schema.field(self.table.time).type
        column = pc.field(self.table.time)
        if pa.types.is_timestamp(kind):
            low, high = (pa.scalar(moment, pa.timestamp(kind.unit)).cast(kind) for moment in (start, end))
        elif pa.types.is_date(kind):
            low, high = (pa.scalar(moment.date(), pa.date32()).cast(kind) for moment in (start, end))
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            low, high = (pa.scalar(moment.date().isoformat()) for moment in (start, end))
        else:
            raise BadInput(f"{path}: time column {self.table.time} is {kind}, neither a date nor text")
        return (column >= low) & (column < high)


@dataclass(frozen=True)
class SqlReader:
    """A query; what closed periods held is taken as final, because a database has no digest."""

    table: SqlTable

    def schema(self, start: datetime | None, end: datetime | None) -> dict[str, str]:  # noqa: ARG002
        """Return nothing: types are the driver's business, the contract speaks for the rows."""
        return {}

    def digest(self, start: datetime | None, end: datetime | None) -> str:
        """Digest the query and the window."""
        return sha256_of([self.table.query, str(start), str(end)])

    def read(self, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        """Run the query with `:start` and `:end` bound."""
        try:
            import sqlalchemy
        except ImportError as error:
            raise BadInput("source kind sql: SQLAlchemy is not installed", hint="install the `sql` extra") from error
        import pandas as pd

        url = os.environ.get(self.table.url)
        if not url:
            raise BadInput(f"{self.table.url}: this environment variable must hold the database URL")
        bound = {name: value for name, value in {"start": start, "end": end}.items() if f":{name}" in self.table.query}
        try:
            engine = sqlalchemy.create_engine(url)
            with engine.connect() as connection:
                return pd.read_sql(sqlalchemy.text(self.table.query), connection, params=bound)
        except (sqlalchemy.exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> BadInput | Unavailable:
        """Tell a database that does not answer from a query that it does not understand."""
        import sqlalchemy

        cause = error if isinstance(error, sqlalchemy.exc.SQLAlchemyError) else error.__cause__
        said = _line(getattr(cause, "orig", None) or cause)
        if isinstance(cause, sqlalchemy.exc.OperationalError) and not _QUERY_FAULT.search(said):
            return Unavailable(f"database in {self.table.url}: {said}")
        return BadInput(f"query on {self.table.url}: {said}")


def _dataset(parquet: Path, path: Path) -> ds.Dataset:
    import pyarrow as pa
    import pyarrow.dataset as ds

    with said_plainly(path):
        if path.stat().st_size == 0:
            raise BadInput(f"{path}: empty")
    try:
        return ds.dataset(parquet, format="parquet")
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: not readable as Parquet ({_line(error)})") from error


def kind_of(kind: pa.DataType) -> str:
    """Name the type of a delivered column; how wide a number or text is stored makes no difference."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind_of(kind.value_type)
    for name, test in (
        ("integer", pa.types.is_integer),
        ("number", pa.types.is_floating),
        ("number", pa.types.is_decimal),
        ("boolean", pa.types.is_boolean),
        ("timestamp", pa.types.is_timestamp),
        ("date", pa.types.is_date),
        ("text", pa.types.is_string),
        ("text", pa.types.is_large_string),
    ):
        if test(kind):
            return name
    return str(kind)


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:200]
