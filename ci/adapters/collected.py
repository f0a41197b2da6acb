"""Tables that a collection service holds: read by period, once for each version of it."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ci.adapters.collector import MISMATCH_HINT, Client, from_environment
from ci.contract import plain
from ci.errors import BadInput, Unavailable
from ci.files import forgotten, said_plainly, sha256, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ci.data.held import Held
    from ci.project import Project
    from ci.sources import CollectorTable

_TRIES = 3


def client_of(project: Project, table: CollectorTable) -> Client:
    """
    Return the door to the service that a table names.

    Raises:
        BadInput: its address is not in the environment, or is none.
    """
    url = from_environment(table.url, "the address of the collection service")
    contract = sha256_of(plain(project.contract))
    token = os.environ.get(table.token, "").strip()
    return Client(url, project.name, token, table.token, contract, table.timeout_s)


@dataclass
class CollectorReader:
    """Satisfies `ci.data.ingest.TableReader` and `ci.data.held.Settling`; `cache` keeps what was fetched."""

    project: Project
    table: CollectorTable
    cache: Path

    @cached_property
    def client(self) -> Client:
        """The door to the service."""
        return client_of(self.project, self.table)

    @cached_property
    def held(self) -> list[Held]:
        """
        What the service holds; asked once, so that all periods are seen at one moment.

        Raises:
            BadInput: it holds rows of another contract.
        """
        theirs = self.client.state().contract
        if theirs and theirs != self.client.contract:
            raise BadInput(f"{self.client.url}: {self.project.name}: the service has contract {theirs}, "
                           f"this checkout has {self.client.contract}", hint=MISMATCH_HINT)  # fmt: skip
        return self.client.periods()

    def settled(self) -> datetime | None:
        """Return the end of the newest settled period."""
        return max((datetime.fromisoformat(held.end) for held in self.held if held.settled), default=None)

    def schema(self, start: datetime | None, end: datetime | None) -> dict[str, str]:
        """Return column to type, as the service writes them."""
        import pyarrow.parquet as pq

        from ci.adapters.tables import kind_of

        within = self._within(start, end)
        if not within:
            return {}
        delivered = pq.read_schema(self._found(within[-1].period)[0])
        return {name: kind_of(kind) for name, kind in zip(delivered.names, delivered.types, strict=True)}

    def digest(self, start: datetime | None, end: datetime | None) -> str:
        """Digest what the service holds of the periods that the window touches."""
        return sha256_of([held.digest for held in self._within(start, end) if held.rows])

    def read(self, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        """Read the rows in the window."""
        import pandas as pd

        frames = [self._rows(held.period, start, end) for held in self._within(start, end)]
        if not frames:
            return pd.DataFrame({name: pd.Series(dtype="object") for name in self.project.contract.columns})
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def _rows(self, period: str, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        from ci.data.manifest import read_parquet

        path, held = self._found(period)
        frame, time = read_parquet(path, self.table.columns), self.project.contract.event_time
        if len(frame) != held.rows and not held.removed:
            raise Unavailable(f"{self.client.url}: {period} has {len(frame):,} rows, not the {held.rows:,} listed")
        if start is None or end is None or time not in frame:
            return frame
        return frame[(frame[time] >= start) & (frame[time] < end)].reset_index(drop=True)

    def _within(self, start: datetime | None, end: datetime | None) -> list[Held]:
        return [held for held in self.held if held.rows and _touches(held, start, end)]

    def _found(self, period: str) -> tuple[Path, Held]:
        """Return a period's Parquet: the service's, or what was published if its rows are no longer there."""
        held = next((item for item in self.held if item.period == period and item.removed), None)
        return (published(self.project, held, self.client.url), held) if held else self._fetched(period)

    def _fetched(self, period: str) -> tuple[Path, Held]:
        """Return a period's Parquet and what was listed of it; rows that came in between are listed again."""
        for _ in range(_TRIES):
            held = next((item for item in self.held if item.period == period), None)
            if held is None:
                raise Unavailable(f"{self.client.url}: {period} is no longer listed")
            if (path := self._fetched_once(held)) is not None:
                return path, held
            del self.held
        raise Unavailable(f"{self.client.url}: {period} changes faster than it can be read", hint="run it again")

    def _fetched_once(self, held: Held) -> Path | None:
        """Fetch one version of a period, unless a run that died had fetched it whole; None if it is outdated."""
        folder, name = self.cache / "collector" / self.project.name, f"{held.period}-{held.digest[:32]}"
        for path in folder.glob(f"{name}-*.parquet"):
            if path.stem.removeprefix(f"{name}-") == sha256(path):
                return path
        forgotten(folder)
        fresh = folder / f"{name}.parquet"
        if not self.client.save(held, fresh, self.table.max_mb << 20):
            return None
        if (found := content(fresh)) != held.digest:
            fresh.unlink()
            raise Unavailable(f"{self.client.url}: {held.period}: rows with digest {found[:12]} arrived, "
                              f"{held.digest[:12]} was promised", hint="is there a proxy in between?")  # fmt: skip
        kept = folder / f"{name}-{sha256(fresh)}.parquet"
        with said_plainly(kept):
            fresh.replace(kept)
            for former in folder.glob(f"{held.period}-{'[0-9a-f]' * 32}-*.parquet"):
                if former != kept:
                    former.unlink(missing_ok=True)
        return kept


def published(project: Project, held: Held, url: str) -> Path:
    """
    Return the rows of a period that the service has removed, as they were published and lie in this checkout.

    Raises:
        BadInput: they do not lie here as their manifest says.
    """
    from ci.data.manifest import intact, load_manifest

    raw = project.path("data", "raw")
    with suppress(BadInput):
        part = next((part for part in load_manifest(raw).parts if part.period == held.period), None)
        if part and part.rows and intact(raw, part):
            return raw / part.file
    raise BadInput(f"{url}: {held.period}: its rows were published and removed there ({held.removed}), and {raw} does not "
                   "have them", hint=f"get them back first: dvc pull {raw}")  # fmt: skip


def _touches(held: Held, start: datetime | None, end: datetime | None) -> bool:
    if start is None or end is None:
        return True
    return datetime.fromisoformat(held.start) < end and datetime.fromisoformat(held.end) > start


def content(path: Path) -> str:
    """
    Digest the rows of a period as the service does: SHA-256 over MessagePack of its columns, then of each row.

    A moment counts as its microseconds since 1970. The same rows have the same digest whoever wrote the file, and how.

    Raises:
        BadInput: it is no Parquet.
    """
    import msgspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ci.adapters.tables import kind_of

    encode = msgspec.msgpack.Encoder().encode
    try:
        with pq.ParquetFile(path) as file:
            columns = [[field.name, _KINDS.get(kind_of(field.type), str(field.type))] for field in file.schema_arrow]
            digest = hashlib.sha256(encode(columns))
            for batch in file.iter_batches(16_384):
                values = [_plain(column) for column in batch.columns]
                for row in zip(*values, strict=True):
                    digest.update(encode(row))
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: not readable as Parquet ({' '.join(str(error).split())[:160]})") from error
    return digest.hexdigest()


_KINDS = {"integer": "integer", "number": "number", "boolean": "boolean", "text": "string", "timestamp": "datetime"}


def _plain(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values
