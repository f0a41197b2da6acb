"""What the two databases have in common once a connection is open: statements with `?`, many rows in one statement."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SIZES = (1000, 250, 50, 10, 1)  # rows in one statement: few sizes, so that prepared statements are found again
_AMONG = 500


class Database:
    """
    One connection within a transaction.

    Many rows go in with one statement, and not with one each: the driver lets go of the interpreter for every
    statement, and getting it back costs more than the row when another thread is reading the next delivery.
    """

    def __init__(
        self, run: Callable[[str, Sequence[Any]], Any], spell: Callable[[str], str], stream: Any = None
    ) -> None:
        self._run, self._spell, self._stream = run, spell, stream or run
        self._spelt: dict[str, str] = {}

    def run(self, sql: str, *values: Any) -> Any:
        """Run one statement; returns its cursor."""
        return self._run(self._as_spelt(sql), values)

    def stream(self, sql: str, *values: Any) -> Any:
        """Run a query whose rows must not be in memory all at once; returns its cursor."""
        return self._stream(self._as_spelt(sql), values)

    def _as_spelt(self, sql: str) -> str:
        spelt = self._spelt.get(sql)
        if spelt is None:
            spelt = self._spelt[sql] = self._spell(sql)
        return spelt

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return list(self.run(sql, *values).fetchall())

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query."""
        found: tuple[Any, ...] | None = self.run(sql, *values).fetchone()
        return found

    def insert(self, start: str, rows: Sequence[Sequence[Any]], end: str = "") -> int:
        """Insert rows after `INSERT INTO … VALUES`; returns how many went in."""
        done = place = 0
        for size in _SIZES:
            marks = ",".join(["(" + ",".join("?" * len(rows[0])) + ")"] * size) if len(rows) - place >= size else ""
            while len(rows) - place >= size:
                part = rows[place : place + size]
                done += self.run(f"{start} {marks} {end}", *chain.from_iterable(part)).rowcount
                place += size
        return done

    def all_new(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
        """Insert rows that are probably all new; where this is False, the caller goes back to its savepoint."""
        start = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"  # names of ours
        return self.insert(start, rows, "ON CONFLICT DO NOTHING") == len(rows)

    def among(self, sql: str, before: Sequence[Any], keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query that ends with `IN (…)`, in which `…` stands for the keys."""
        for place in range(0, len(keys), _AMONG):
            part = keys[place : place + _AMONG]
            yield from self.all(*self.listed(sql, before, part))

    def change(self, sql: str, before: Sequence[Any], keys: Sequence[Any]) -> int:
        """Change the rows of a statement that ends with `IN (…)`; returns how many."""
        done = 0
        for place in range(0, len(keys), _AMONG):
            part = keys[place : place + _AMONG]
            done += self.run(*self.listed(sql, before, part)).rowcount
        return done

    def listed(self, sql: str, before: Sequence[Any], keys: Sequence[Any]) -> tuple[Any, ...]:
        """Return a statement and its values, with the keys in the place of `…`."""
        return sql.replace("…", ",".join("?" * len(keys))), *before, *keys
