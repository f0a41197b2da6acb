"""
The list of referrers that registries without the API keep as an index under the tag `sha256-<hex>` of the subject.

A registry cannot compare and swap. So the list is read, changed, written and read again until it holds the change;
`alone` keeps other processes of this machine away meanwhile.
"""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

from ci.errors import Unavailable
from ci.packaging.interface import INDEX, MANIFEST
from ci.packaging.oci import fallback, parts, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from ci.packaging.interface import Registry

_TRIES = 6


def listed(registry: Registry, repository: str, digest: str) -> list[dict[str, Any]]:
    """Return the descriptors under the tag of `digest`; none if there is no such tag."""
    reference = registry.resolve(repository, fallback(digest))
    if reference is None:
        return []
    found = registry.pull_manifest(repository, reference)
    parts(found.raw, f"{repository}:{fallback(digest)}")
    return list(json.loads(found.raw).get("manifests", []))


def told(descriptors: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield digest and artifact type of each."""
    for item in descriptors:
        yield item["digest"], item.get("artifactType") or ""


def enter(registry: Registry, repository: str, raw: bytes, digest: str, alone: AbstractContextManager[None]) -> None:
    """Put a manifest on the list of its subject; a manifest without one is left alone."""
    found = parts(raw, digest)
    if found.subject is None:
        return
    entry = {"mediaType": MANIFEST, "digest": digest, "size": len(raw), "artifactType": found.artifact_type}
    with alone:
        _change(
            registry,
            repository,
            found.subject,
            lambda known: [*known, entry],
            lambda known: digest in {item["digest"] for item in known},
        )


def leave(registry: Registry, repository: str, raw: bytes, digest: str, alone: AbstractContextManager[None]) -> None:
    """Take a manifest off the list of its subject."""
    subject = parts(raw, digest).subject
    if subject is None:
        return
    with alone:
        _change(
            registry,
            repository,
            subject,
            lambda known: [item for item in known if item["digest"] != digest],
            lambda known: digest not in {item["digest"] for item in known},
        )


def _change(
    registry: Registry,
    repository: str,
    subject: str,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    done: Callable[[list[dict[str, Any]]], bool],
) -> None:
    for attempt in range(_TRIES):
        known = listed(registry, repository, subject)
        if done(known):
            return
        manifests = sorted(change(known), key=lambda item: str(item["digest"]))
        index = spell({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
        registry.push_manifest(repository, index, INDEX, [fallback(subject)])
        time.sleep(attempt * random.uniform(0.02, 0.1))  # noqa: S311  # so that two who overwrite each other part ways
    if not done(listed(registry, repository, subject)):
        raise Unavailable(f"{repository}: others keep rewriting the referrers of {subject[:19]}…")
