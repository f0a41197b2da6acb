"""A release: what was built once from one bundle, by digest. The ledger keeps the record, registries the bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ci.files import sha256_of
from ci.params import Digest, Model, ProjectName, Sha256

Version = Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")]
Packaging = Literal["service", "embedded", "data"]


class Packaged(Model):
    """One packaging: an object in a registry's repository (a wheel lies there as an artifact, too)."""

    repository: str = Field(description="Name within the registry, such as slipway/flights.")
    digest: Digest = Field(description="Of its OCI manifest.")
    size: int = Field(ge=0, description="Bytes of everything that the manifest names.")


class GateEvidence(Model):
    """The verdict on which the release stands."""

    outcome: str = Field(description="passed; anything else only where a person forced it, with a reason.")
    report: Sha256 = Field(description="Digest of the gate's report.")
    champion: Sha256 | None = Field(None, description="Bundle that it was judged against; null for a first release.")
    test_set: Sha256 | None = Field(None, description="Digest of the test set that both answered.")


class Release(Model):
    """The immutable record; promoted by `digest`, never rebuilt."""

    schema_version: Literal[1] = 1
    project: ProjectName
    version: Version
    bundle: Sha256 = Field(description="Digest of the bundle.")
    data_version: str
    recipe: Sha256 = Field(description="What made the packagings beside the bundle: server, dependencies, base image.")
    git_commit: str | None = Field(None, description="Commit of the checkout that it was packaged from.")
    gate: GateEvidence | None = Field(None, description="Null where nobody judged it: such a release is not promoted.")
    packagings: dict[Packaging, Packaged] = Field(min_length=1)
    evidence: dict[str, Digest] = Field(default_factory=dict, description="sbom, provenance: digests of what is kept.")
    key: str = Field(description="Fingerprint (sha256 in hex) of the public key that signed it.")

    @property
    def digest(self) -> str:
        """Hex sha256 of the record in its canonical spelling: what approvals and deployments name."""
        return sha256_of(self.model_dump(mode="json"))

    @property
    def name(self) -> str:
        """As people and Git tags say it: `flights@v1.4.0`."""
        return f"{self.project}@v{self.version}"
