"""What packaging asks of a registry; `ci.adapters.registry` has one over HTTP and one in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
BUNDLE = "application/vnd.slipway.bundle.v1"
WHEEL = "application/vnd.slipway.wheel.v1"
STATEMENT = "application/vnd.in-toto+json"
SBOM = "application/vnd.cyclonedx+json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was stored: `raw` hashes to `digest` (sha256:…)."""

    raw: bytes
    media_type: str
    digest: str


class Registry(Protocol):
    """Blobs and manifests by digest; tags are names for people. Everything that arrives is checked by digest."""

    @property
    def place(self) -> str:
        """Where it is, for people; never with a password."""

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""

    def push_blob(self, repository: str, data: bytes) -> str:
        """Store a blob once; return its digest."""

    def pull_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """
        Return a blob.

        Raises:
            BadInput: it is not there, larger than `limit` bytes, or not what its digest says.
            Unavailable: the registry does not answer.
        """

    def push_manifest(self, repository: str, raw: bytes, media_type: str, tags: Sequence[str] = ()) -> str:
        """Store a manifest under its digest and tags; return the digest."""

    def pull_manifest(self, repository: str, reference: str) -> Manifest:
        """
        Return a manifest by tag or digest.

        Raises:
            BadInput: there is none, or it is not what its digest says.
        """

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None if there is none."""

    def copy(self, source: str, target: str, digest: str, tags: Sequence[str] = ()) -> None:
        """Promote by digest between repositories: the same bytes, nothing pulled where the registry can mount."""

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository; empty if it does not exist."""

    def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest and every tag on it."""

    def referrers(self, repository: str, digest: str) -> Iterator[tuple[str, str]]:
        """Yield digest and artifact type of what refers to a manifest (API, or the `sha256-<hex>` tag)."""
