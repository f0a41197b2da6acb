"""A data version: rows that were checked once, by digest. The ledger keeps the record, DVC's remote the bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ci.files import sha256_of
from ci.params import Model, ProjectName, Sha256
from ci.releases.record import Version

SUFFIX = "-data"
DvcDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,64}(\.dir)?$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=500)]


class DataVersion(Model):
    """The immutable record; `content` names the rows, whatever the day on which somebody looked at them."""

    schema_version: Literal[1] = 1
    project: ProjectName
    version: Version
    data_version: Sha256 = Field(description="Digest of the manifest: what bundles and releases call data version.")
    content: Sha256 = Field(description="Of the contract and of each period's rows; the same content has one version.")
    contract: Sha256 = Field(description="Digest of the contract's part that decides what rows are.")
    as_of: Line = Field(description="The build's logical date.")
    first: Line = Field(description="The oldest period.")
    last: Line = Field(description="The newest period.")
    periods: int = Field(ge=1, description="How many there are.")
    rows: int = Field(ge=1, description="Rows in all of them.")
    watermark: Line | None = Field(None, description="Newest event time, ISO 8601; null for rows without one.")
    raw: DvcDigest = Field(description="DVC's digest of data/<project>/raw.")
    verdict: Literal["passed"] = Field(description="What the data check said; nothing else is published.")
    warnings: int = Field(0, ge=0, description="How often it warned.")
    check: Sha256 = Field(description="Digest of check.json.")
    why: Line = Field("", description="Why it has this version.")
    git_commit: str | None = Field(None, description="Commit of the checkout that it was made in.")

    @property
    def digest(self) -> str:
        """Hex sha256 of the record in its canonical spelling."""
        return sha256_of(self.model_dump(mode="json"))

    @property
    def dataset(self) -> str:
        """The name of its ledger: `flights-data`."""
        return dataset_of(self.project)

    @property
    def name(self) -> str:
        """As people and Git tags say it: `flights-data@v1.4.0`."""
        return f"{self.dataset}@v{self.version}"


def dataset_of(project: str) -> str:
    """Name the ledger of a project's data; no project can be called so."""
    return project + SUFFIX
