"""
A registry in a folder: one OCI image layout per repository, with the same blobs, manifests and digests as over HTTP.

Blobs and manifests are written beside and renamed under their digest; `index.json`, which holds the tags, changes under
a lock that the system releases however a process ends. A killed process leaves at most a temporary file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ci.adapters.registry import referring
from ci.errors import BadInput, Unavailable
from ci.files import replacing, said_plainly, write_bytes
from ci.packaging.interface import INDEX, Manifest
from ci.packaging.oci import (
    MANIFEST_LIMIT,
    READABLE,
    checked,
    copy_below,
    digest_of,
    is_digest,
    is_fallback,
    parts,
    spell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_REF = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 20


class LayoutRegistry:
    """`<root>/<repository>/{oci-layout, index.json, blobs/sha256/…}`."""

    def __init__(self, root: Path, timeout_s: float = 60) -> None:
        """Waits at most `timeout_s` for another process that changes tags."""
        self._root, self._timeout_s = root, timeout_s

    @property
    def place(self) -> str:
        """Say which folder it is."""
        return str(self._root)

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""
        return self._blob(repository, digest).is_file()

    def push_blob(self, repository: str, data: bytes | Path) -> str:
        """Store a blob once; return its digest."""
        if isinstance(data, bytes):
            digest = digest_of(data)
            if not self.has_blob(repository, digest):
                write_bytes(self._blob(repository, digest), data)
            return digest
        with said_plainly(data), data.open("rb") as source:
            digest = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
            if not self.has_blob(repository, digest):
                source.seek(0)
                with replacing(self._blob(repository, digest)) as beside, beside.open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
        return digest

    def pull_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """
        Return a blob.

        Raises:
            BadInput: it is not there, larger than `limit` bytes, or not what its digest says.
        """
        path = self._there(repository, digest, limit)
        with said_plainly(path), path.open("rb") as source:
            data = source.read(limit + 1)
        if digest_of(data) != digest:
            raise self._altered(repository, digest)
        return data

    def save_blob(self, repository: str, digest: str, target: Path, limit: int) -> None:
        """Write a blob to a file; raises as `pull_blob` does."""
        path, hashed = self._there(repository, digest, limit), hashlib.sha256()
        with replacing(target) as beside, path.open("rb") as source, beside.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                hashed.update(chunk)
                sink.write(chunk)
            if f"sha256:{hashed.hexdigest()}" != digest:
                raise self._altered(repository, digest)

    def push_manifest(self, repository: str, raw: bytes, media_type: str, tags: Sequence[str] = ()) -> str:
        """
        Store a manifest under its digest and tags; return the digest.

        Raises:
            BadInput: something that it names is not in the repository.
        """
        checked(repository, *tags)
        digest = digest_of(raw)
        found = parts(raw, f"{repository}@{digest[:19]}")
        for named, _ in (*found.blobs, *found.manifests):
            if not self.has_blob(repository, named):
                raise BadInput(f"{repository}: the manifest names {named[:19]}…, which is not there")
        self.push_blob(repository, raw)
        entry = {"mediaType": media_type, "digest": digest, "size": len(raw)}
        if found.artifact_type:
            entry["artifactType"] = found.artifact_type
        with self._changing(repository) as manifests:
            tagged = [{**entry, "annotations": {_REF: tag}} for tag in tags]
            manifests[:] = _tidy([*_without(manifests, tags), *(tagged or [entry])])
        referring.enter(self, repository, raw, digest, self._lock(repository, "referrers"))
        return digest

    def pull_manifest(self, repository: str, reference: str) -> Manifest:
        """
        Return a manifest by tag or digest.

        Raises:
            BadInput: there is none, or it is not what its digest says.
        """
        entry = self._entry(repository, reference)
        if entry is None:
            raise BadInput(f"{self.place}: {repository} has no {reference[:80]}")
        if entry["mediaType"] not in READABLE:
            raise BadInput(f"{repository}: {reference[:80]} is of type {entry['mediaType']}, not a manifest")
        raw = self.pull_blob(repository, entry["digest"], MANIFEST_LIMIT)
        return Manifest(raw, entry["mediaType"], entry["digest"])

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None if there is none."""
        entry = self._entry(repository, reference)
        return entry["digest"] if entry else None

    def copy(self, source: str, target: str, digest: str, tags: Sequence[str] = ()) -> None:
        """Promote by digest: blobs are linked where the file system can, and the referrers come along."""
        found = self.pull_manifest(source, digest)
        if source != target:
            copy_below(self, source, target, found)
            for blob, _ in parts(found.raw, digest).blobs:
                self._link(source, target, blob)
        self.push_manifest(target, found.raw, found.media_type, tags)
        if source != target:
            for referrer, _ in list(self.referrers(source, digest)):
                self.copy(source, target, referrer)

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository in order; empty if it does not exist."""
        names = {_tag(item) for item in self._index(repository)}
        return sorted(name for name in names if name and not is_fallback(name))

    def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest, every tag on it, and its place among the referrers."""
        if self.resolve(repository, digest) is None:
            return
        raw = self.pull_manifest(repository, digest).raw
        with self._changing(repository) as manifests:
            manifests[:] = [item for item in manifests if item["digest"] != digest]
        self._blob(repository, digest).unlink(missing_ok=True)
        referring.leave(self, repository, raw, digest, self._lock(repository, "referrers"))

    def referrers(self, repository: str, digest: str) -> Iterator[tuple[str, str]]:
        """Yield digest and artifact type of what refers to a manifest."""
        yield from referring.told(referring.listed(self, repository, digest))

    def _blob(self, repository: str, digest: str) -> Path:
        checked(repository)
        if not is_digest(digest):
            raise BadInput(f"{digest[:80]!r}: not a sha256 digest")
        return self._root / repository / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _there(self, repository: str, digest: str, limit: int) -> Path:
        path = self._blob(repository, digest)
        if not path.is_file():
            raise BadInput(f"{self.place}: {repository} has no {digest[:19]}…")
        if (size := path.stat().st_size) > limit:
            raise BadInput(f"{repository}: {digest[:19]}… has {size:,} bytes, more than the {limit:,} allowed")
        return path

    def _altered(self, repository: str, digest: str) -> BadInput:
        return BadInput(f"{self._blob(repository, digest)}: not what its digest says; it was altered or cut short")

    def _link(self, source: str, target: str, digest: str) -> None:
        if self.has_blob(target, digest):
            return
        path = self._blob(target, digest)
        with replacing(path) as beside:
            beside.unlink()
            try:
                os.link(self._there(source, digest, 1 << 60), beside)
            except OSError:  # another file system, or one without links
                shutil.copyfile(self._blob(source, digest), beside)

    def _entry(self, repository: str, reference: str) -> dict[str, Any] | None:
        checked(repository, reference)
        key = (lambda item: item["digest"]) if is_digest(reference) else _tag
        return next((item for item in self._index(repository) if key(item) == reference), None)

    def _index(self, repository: str) -> list[dict[str, Any]]:
        checked(repository)
        path = self._root / repository / "index.json"
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return []
        parts(raw, str(path))
        found: list[dict[str, Any]] = json.loads(raw).get("manifests", [])
        return found

    @contextmanager
    def _changing(self, repository: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the index to be changed, and write it if the block succeeds; one process at a time."""
        folder = self._root / repository
        with self._lock(repository, "index"):
            manifests = self._index(repository)
            yield manifests
            if not (folder / "oci-layout").is_file():
                write_bytes(folder / "oci-layout", spell({"imageLayoutVersion": "1.0.0"}))
            write_bytes(folder / "index.json", spell({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))

    @contextmanager
    def _lock(self, repository: str, what: str) -> Iterator[None]:
        path, end = self._root / repository / f".{what}.lock", time.monotonic() + self._timeout_s
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as lock:
                while True:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError as error:
                        if time.monotonic() > end:
                            raise Unavailable(
                                f"{path}: another process has held it for {self._timeout_s:g} s"
                            ) from error
                        time.sleep(0.01)
                yield


def _tag(item: dict[str, Any]) -> str | None:
    name: str | None = (item.get("annotations") or {}).get(_REF)
    return name


def _without(manifests: list[dict[str, Any]], tags: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Take tags off the manifests that have them; what is left without any can still be had by its digest."""
    for item in manifests:
        tag = _tag(item)
        if tag not in tags or tag is None:
            yield item
        elif not is_fallback(tag):  # of the lists of referrers only the newest counts
            yield {key: value for key, value in item.items() if key != "annotations"}


def _tidy(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of each manifest once that it is there without a tag, as long as no tag says so."""
    tagged = {item["digest"] for item in manifests if _tag(item)}
    bare = {item["digest"]: item for item in manifests if not _tag(item) and item["digest"] not in tagged}
    return [*(item for item in manifests if _tag(item)), *bare.values()]
