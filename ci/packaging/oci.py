"""
What an OCI manifest says, and how ours are spelled: equal content has equal bytes, hence an equal digest.

After the image specification 1.1 (manifest.md, descriptor.md) and the distribution specification 1.1 (names, referrers).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.packaging.interface import EMPTY, INDEX, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.packaging.interface import Manifest, Registry

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
READABLE = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST)
MANIFEST_LIMIT = 4 << 20  # bytes; what registries have to take, and so the most that they may send
TITLE = "org.opencontainers.image.title"
EMPTY_BLOB = b"{}"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_FALLBACK = re.compile(r"sha256-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a manifest names: blobs and manifests as (digest, size), its type, and what it refers to."""

    blobs: Sequence[tuple[str, int]]
    manifests: Sequence[tuple[str, int]]
    artifact_type: str
    subject: str | None
    document: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of everything that it names."""
        return sum(size for _, size in (*self.blobs, *self.manifests))


def digest_of(data: bytes) -> str:
    """Return the digest of bytes as registries spell it: `sha256:…`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def is_digest(reference: str) -> bool:
    """Tell a digest from a tag."""
    return bool(_DIGEST.fullmatch(reference))


def is_fallback(tag: str) -> bool:
    """Whether a tag is one that lists referrers, and no name for people."""
    return bool(_FALLBACK.fullmatch(tag))


def fallback(digest: str) -> str:
    """Return the tag that lists what refers to `digest` where a registry has no referrers API."""
    return digest.replace(":", "-")


def checked(repository: str, *references: str) -> None:
    """
    Hold names to the specification, before they become part of a URL or a path.

    Raises:
        BadInput: a repository, tag or digest that no registry would take.
    """
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        raise BadInput(f"{repository[:100]!r}: not a repository's name", hint="lower case letters, digits, . _ - and /")
    for reference in references:
        if not (is_digest(reference) or _TAG.fullmatch(reference)):
            raise BadInput(f"{reference[:140]!r}: neither a tag nor a sha256 digest")


def spell(document: Any) -> bytes:
    """Spell a manifest so that equal manifests have equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    """Describe bytes."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def artifact(
    artifact_type: str,
    layers: Sequence[Mapping[str, Any]],
    annotations: Mapping[str, str],
    subject: Mapping[str, Any] | None = None,
) -> bytes:
    """Spell the manifest of an artifact without a config; `subject` is the descriptor of what it refers to."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(EMPTY, EMPTY_BLOB),
        "layers": list(layers),
        "annotations": dict(annotations),
    }
    return spell(document | ({"subject": dict(subject)} if subject else {}))


def parts(raw: bytes, what: str) -> Parts:
    """
    Read a manifest or index.

    Raises:
        BadInput: not JSON, or without the members that the specification asks for.
    """
    try:
        document = json.loads(raw)
        config = document.get("config")
        blobs = [*([config] if config else []), *document.get("layers", [])]
        subject = document.get("subject")
        return Parts(
            blobs=[_described(item) for item in blobs],
            manifests=[_described(item) for item in document.get("manifests", [])],
            artifact_type=str(document.get("artifactType") or (config or {}).get("mediaType") or ""),
            subject=_described(subject)[0] if subject else None,
            document=document,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInput(f"{what}: not a manifest ({type(error).__name__}: {error})") from error


def _described(item: Mapping[str, Any]) -> tuple[str, int]:
    digest, size = item["digest"], item["size"]
    if not is_digest(str(digest)):
        raise ValueError(f"{str(digest)[:80]!r} is not a sha256 digest")
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"size of {digest[:19]} is {size!r}")
    return digest, size


def is_index(media_type: str) -> bool:
    """Whether a manifest lists manifests."""
    return media_type in {INDEX, DOCKER_LIST}


def copy_below(registry: Registry, source: str, target: str, found: Manifest) -> None:
    """Copy the manifests that an index lists, so that the index itself may follow."""
    if is_index(found.media_type):
        for digest, _ in parts(found.raw, found.digest).manifests:
            registry.copy(source, target, digest)
