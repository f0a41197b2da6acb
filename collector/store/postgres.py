"""PostgreSQL, for a service that several people look after: one connection writes, each reader has one of its own."""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from collector.errors import Full, StoreError, Unreachable
from collector.store.database import Database
from collector.store.looking import Looking
from collector.store.writing import Numbers, Writing, prepare
from serving.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collector.store.interface import Session, View

WORDS = {"id": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "int": "BIGINT", "blob": "BYTEA", "clustered": ""}
_LOCK = 0x511993A1  # of all services that write into one database
_CONNECT_S = 10
_NUMBERS = itertools.count()


class _Database(Database):
    """Statements by COPY where many rows are new: a quarter of the work of as many values."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        def stream(sql: str, values: Sequence[Any]) -> Any:
            return connection.cursor(f"rows_{next(_NUMBERS)}").execute(
                sql, values
            )  # a name makes it one of the server's

        super().__init__(connection.execute, lambda sql: sql.replace("?", "%s"), stream)
        self._connection = connection

    def all_new(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
        """Insert rows that are probably all new; where this is False, the caller goes back to its savepoint."""
        copy = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        try:
            with self._connection.cursor() as cursor, cursor.copy(copy) as sink:
                sink.set_types(["bytea" if isinstance(value, bytes) else "int8" for value in rows[0]])
                for row in rows:
                    sink.write_row(row)
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def listed(self, sql: str, before: Sequence[Any], keys: Sequence[Any]) -> tuple[Any, ...]:
        """Return a statement that is planned well even while the database has no statistics: as a join, not a list."""
        return sql.replace("…", "SELECT unnest(?)"), *before, list(keys)


class PostgresStore:
    """One writer at a time, also among several services: ids are given in the order in which they are seen."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address, self._timeout_ms, self._numbers = address, int(timeout_s * 1000), Numbers()
        self._writer: psycopg.Connection[Any] | None = None
        with _translated():
            try:
                with self._connect() as new:
                    _lock(new)
                    self.identity = prepare(_Database(new), WORDS, "the database")
            except psycopg.ProgrammingError as error:
                raise BadOption(f"COLLECTOR_STORE: {_said(error)}") from error

    def write(self, work: Callable[[Session], None]) -> None:
        """Do all of `work` in one transaction, which is on the disk when this returns."""
        with _translated():
            writer = self._writer
            if writer is None or writer.closed:
                writer = self._writer = self._connect()
            try:
                with writer.transaction():
                    _lock(writer)
                    session = Writing(_Database(writer), self._numbers)
                    work(session)
                    session.finish()
            except BaseException:
                self._numbers = Numbers()
                raise

    def read(self, work: Callable[[View], Any]) -> Any:
        """Let `work` look at one consistent state."""
        with _translated(), self._connect() as one:
            one.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return work(Looking(_Database(one)))

    def size(self) -> int | None:
        """Bytes that the database takes."""
        try:
            with self._connect() as one:
                found = one.execute("SELECT pg_database_size(current_database())").fetchone()
        except psycopg.Error:
            return None
        return int(found[0]) if found else None

    def close(self) -> None:
        """Let go of the writer."""
        if self._writer is not None:
            with suppress(psycopg.Error):
                self._writer.close()
            self._writer = None

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._address,
            connect_timeout=_CONNECT_S,
            application_name="slipway-collector",
            options=f"-c statement_timeout={self._timeout_ms} -c synchronous_commit=on -c timezone=UTC",
        )


def _lock(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise Full("the database's disk is full") from error
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL: {_said(error)}") from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL: {_said(error)}") from error


def _said(error: psycopg.Error) -> str:
    """Return the first line of what the database said; the address, which may hold a password, is not in it."""
    return str(error).strip().partition("\n")[0][:300]
