"""SQLite beside the service: write-ahead log, flushed with every commit."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from collector.errors import Full, StoreError, Unreachable
from collector.store.database import Database
from collector.store.looking import Looking
from collector.store.writing import Numbers, Writing, prepare
from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from collector.store.interface import Session, View

WORDS = {"id": "INTEGER PRIMARY KEY AUTOINCREMENT", "int": "INTEGER", "blob": "BLOB", "clustered": "WITHOUT ROWID"}
_BUSY_S = 10.0
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit that was answered survives a power cut
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
)


class SqliteStore:
    """One file, one writer; each reader opens it for itself."""

    def __init__(self, path: Path) -> None:
        self._path, self._numbers = path, Numbers()
        self._writer: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            with closing(new):
                new.execute("PRAGMA page_size = 8192")
                new.execute("PRAGMA journal_mode = WAL")
                new.execute("BEGIN IMMEDIATE")
                self.identity = prepare(_database(new), WORDS, str(path))
                new.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise BadOption(f"COLLECTOR_STORE: {path}: {error}") from error

    def write(self, work: Callable[[Session], None]) -> None:
        """Do all of `work` in one transaction, which is on the disk when this returns."""
        with _translated():
            writer = self._writer or self._open()
            writer.execute("BEGIN IMMEDIATE")
            try:
                session = Writing(_database(writer), self._numbers)
                work(session)
                session.finish()
                writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    writer.execute("ROLLBACK")  # a full disk has done so already
                self._numbers = Numbers()
                raise

    def read(self, work: Callable[[View], Any]) -> Any:
        """Let `work` look at one consistent state."""
        with (
            _translated(),
            closing(sqlite3.connect(self._uri(), uri=True, timeout=_BUSY_S, isolation_level=None)) as one,
        ):
            one.execute("PRAGMA cache_size = -16384")
            one.execute("BEGIN")
            return work(Looking(_database(one)))

    def size(self) -> int | None:
        """Bytes that the database takes, without pages that wait for their next use."""
        files = sum(file.stat().st_size for file in (self._path, self._beside("-wal")) if file.is_file())
        if self._writer is None:
            return files
        return files - _free(self._uri())

    def close(self) -> None:
        """Let go of the writer."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> sqlite3.Connection:
        writer = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        for setting in _SETTINGS:
            writer.execute(setting)
        self._writer = writer
        return writer

    def _beside(self, end: str) -> Path:
        return self._path.with_name(self._path.name + end)

    def _uri(self) -> str:
        return f"file:{quote(str(self._path.absolute()))}?mode=ro"


def _database(connection: sqlite3.Connection) -> Database:
    return Database(connection.execute, lambda sql: sql)


def _free(uri: str) -> int:
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as one:
            pages, size = (one.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    except sqlite3.Error:
        return 0
    return int(pages) * int(size)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise Full("the disk is full") from error
        if "locked" in str(error) or "busy" in str(error):
            raise Unreachable(f"the database is in use by another program: {error}") from error
        raise StoreError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(str(error)) from error
