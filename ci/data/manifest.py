"""
The manifest of a data version: which periods it has, where they came from, and their digests.

It is a pure function of params, contract and source, so that the same commit gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ci.errors import BadInput
from ci.files import read_json, sha256, sha256_of, write_json
from ci.params import Model, Sha256, parse

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

NAME = "manifest.json"


class Part(Model):
    """One period: one Parquet file."""

    period: str
    era: str
    start: str | None = Field(description="First moment, inclusive, ISO 8601.")
    end: str | None = Field(description="Last moment, exclusive.")
    closed: bool = Field(description="Is the period whole, or cut short by as_of?")
    rows: int
    file: str
    sha256: Sha256
    newest: str | None = Field(description="Latest event time in it.")
    source: Sha256 = Field(description="Of what it was read from, and of the code and settings that read it.")
    tables: dict[str, dict[str, str]] = Field(description="Schema of each table as delivered: column to type.")


class Manifest(Model):
    """`data/<project>/raw/manifest.json`."""

    schema_version: int = 1
    project: str
    as_of: str
    contract: Sha256
    columns: dict[str, str] = Field(description="Schema of the final rows: column to type.")
    parts: list[Part]

    @property
    def version(self) -> str:
        """Return the data version: the digest of everything in the manifest."""
        return sha256_of(self.model_dump(mode="json"))

    @property
    def rows(self) -> int:
        """Rows in all periods."""
        return sum(part.rows for part in self.parts)

    @property
    def watermark(self) -> str | None:
        """Latest event time, ISO 8601."""
        return max((part.newest for part in self.parts if part.newest), default=None)

    def save(self, folder: Path) -> None:
        """Write it into the folder of the raw data."""
        write_json(folder / NAME, self.model_dump(mode="json"))


def load_manifest(folder: Path) -> Manifest:
    """
    Read the manifest of a folder of raw data.

    Raises:
        BadInput: missing or broken.
    """
    return parse(Manifest, read_json(folder / NAME), str(folder / NAME))


def read_part(folder: Path, part: Part, columns: list[str] | None = None) -> pd.DataFrame:
    """
    Read one period.

    Raises:
        BadInput: the file is missing, not Parquet, or another than the manifest says.
    """
    frame = read_parquet(folder / part.file, columns)
    if sha256(folder / part.file) != part.sha256:
        raise BadInput(f"{folder / part.file}: is not what {NAME} says", hint="run ingest again")
    return frame


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """
    Read a Parquet file.

    Raises:
        BadInput: missing, truncated, not Parquet, or without one of `columns`.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise BadInput(f"{path}: not readable as Parquet ({' '.join(str(error).split())[:160]})") from error


def intact(folder: Path, part: Part) -> bool:
    """Say whether the file of a period is there and as it was written."""
    path = folder / part.file
    return path.is_file() and sha256(path) == part.sha256
