"""What packaging asks of a registry; `ci.adapters.registry` has one over HTTP and one in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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

    def push_blob(self, repository: str, data: bytes | Path) -> str:
        """Store a blob once, from memory or from a file (in pieces); return its digest."""

    def pull_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """
        Return a blob.

        Raises:
            BadInput: it is not there, larger than `limit` bytes, or not what its digest says.
            Unavailable: the registry does not answer.
        """

    def save_blob(self, repository: str, digest: str, target: Path, limit: int) -> None:
        """Write a blob to a file, in pieces; whole and checked, or not at all. Raises as `pull_blob` does."""

    def push_manifest(self, repository: str, raw: bytes, media_type: str, tags: Sequence[str] = ()) -> str:
        """
        Store a manifest under its digest and tags; return the digest. One with a `subject` becomes its referrer.

        Raises:
            BadInput: something that it names is not in the repository.
        """

    def pull_manifest(self, repository: str, reference: str) -> Manifest:
        """
        Return a manifest by tag or digest.

        Raises:
            BadInput: there is none, or it is not what its digest says.
        """

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None if there is none."""

    def copy(self, source: str, target: str, digest: str, tags: Sequence[str] = ()) -> None:
        """
        Promote by digest: the same bytes, nothing pulled where the registry can mount; its referrers come along.

        Within one repository it only adds the tags.
        """

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository in order; empty if it does not exist. Tags that list referrers are left out."""

    def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest, every tag on it, and its place among the referrers; nothing happens if it is not there."""

    def referrers(self, repository: str, digest: str) -> Iterator[tuple[str, str]]:
        """Yield digest and artifact type of what refers to a manifest (API, or the `sha256-<hex>` tag)."""
