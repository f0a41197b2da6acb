"""A registry over HTTP, after the OCI distribution specification 1.1; older registries (docker-registry 2) as well."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urljoin

from ci.adapters.registry import referring
from ci.adapters.registry.blobs import measured, piece_of
from ci.adapters.registry.wire import Wire
from ci.errors import BadInput, Unavailable
from ci.files import replacing, said_plainly
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
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import requests

_ACCEPT = {"Accept": ", ".join(READABLE)}
_PIECE = 16 << 20  # larger blobs go up in pieces of this size, bytes
_PAGES = 1000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_LOCKS = Path(".slipway", "locks")


class HttpRegistry:
    """One registry; nothing is asked before the first call."""

    def __init__(
        self, url: str, *, login: tuple[str, str] | None = None, ca: str | None = None, timeout_s: float = 60
    ) -> None:
        """`login` is a name and a password, `ca` a PEM file, `timeout_s` the longest that one request may take."""
        self._wire = Wire(url, login, ca, timeout_s)

    @property
    def place(self) -> str:
        """Say which registry it is."""
        return self._wire.url

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""
        answer = self._ask("HEAD", repository, f"blobs/{_digest(digest)}", "pull")
        return self._wire.expect(answer, {200, 404}, f"{repository} {digest[:19]}…") == 200

    def push_blob(self, repository: str, data: bytes | Path) -> str:
        """Store a blob once; return its digest. Files above 16 MiB go up in pieces."""
        digest, size = measured(data)
        if self.has_blob(repository, digest):
            return digest
        started = self._ask("POST", repository, "blobs/uploads/", "pull,push", repeat=False)
        self._upload(repository, self._location(started, repository, "upload"), data, digest, size)
        return digest

    def pull_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """
        Return a blob.

        Raises:
            BadInput: it is not there, larger than `limit` bytes, or not what its digest says.
            Unavailable: the registry does not answer.
        """
        data = self._wire.read(self._blob(repository, digest), limit, f"{repository} {digest[:19]}…")
        self._hold(digest_of(data), digest, repository)
        return data

    def save_blob(self, repository: str, digest: str, target: Path, limit: int) -> None:
        """Write a blob to a file, in pieces; raises as `pull_blob` does."""
        answer, hashed = self._blob(repository, digest), hashlib.sha256()
        with replacing(target) as beside, beside.open("wb") as sink:
            for piece in self._wire.pieces(answer, limit, f"{repository} {digest[:19]}…"):
                hashed.update(piece)
                sink.write(piece)
            self._hold(f"sha256:{hashed.hexdigest()}", digest, repository)

    def push_manifest(self, repository: str, raw: bytes, media_type: str, tags: Sequence[str] = ()) -> str:
        """
        Store a manifest under its digest and tags; return the digest.

        Raises:
            BadInput: the registry refuses it, for example because it lacks something that the manifest names.
        """
        digest = digest_of(raw)
        subject = parts(raw, f"{repository}@{digest[:19]}").subject
        listed = False
        for reference in tags or [digest]:
            checked(repository, reference)
            headers = {"Content-Type": media_type}
            answer = self._ask("PUT", repository, f"manifests/{reference}", "pull,push", data=raw, headers=headers)
            self._wire.expect(answer, {201}, f"{repository} does not take {reference[:80]}")
            self._hold(answer.headers.get("Docker-Content-Digest", digest), digest, repository)
            listed = listed or "OCI-Subject" in answer.headers
        if subject and not listed:
            referring.enter(self, repository, raw, digest, self._alone(repository))
        return digest

    def pull_manifest(self, repository: str, reference: str) -> Manifest:
        """
        Return a manifest by tag or digest.

        Raises:
            BadInput: there is none, or it is not what its digest says.
        """
        checked(repository, reference)
        answer = self._ask("GET", repository, f"manifests/{reference}", "pull", headers=_ACCEPT)
        if answer.status_code == 404:
            answer.close()
            raise BadInput(f"{self.place}: {repository} has no {reference[:80]}")
        if answer.status_code != 200:
            raise self._wire.refusal(answer, f"{repository} {reference[:80]}")
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type not in READABLE:
            answer.close()
            raise BadInput(f"{repository}: {reference[:80]} is of type {media_type[:80]}, not a manifest")
        raw = self._wire.read(answer, MANIFEST_LIMIT, f"{repository} {reference[:80]}")
        promised = reference if is_digest(reference) else answer.headers.get("Docker-Content-Digest")
        digest = digest_of(raw)
        self._hold(digest, promised or digest, repository)
        return Manifest(raw, media_type, digest)

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None if there is none."""
        checked(repository, reference)
        answer = self._ask("HEAD", repository, f"manifests/{reference}", "pull", headers=_ACCEPT)
        if self._wire.expect(answer, {200, 404}, f"{repository} {reference[:80]}") == 404:
            return None
        told = reference if is_digest(reference) else answer.headers.get("Docker-Content-Digest", "")
        return told if is_digest(told) else self.pull_manifest(repository, reference).digest

    def copy(self, source: str, target: str, digest: str, tags: Sequence[str] = ()) -> None:
        """Promote by digest: blobs are mounted, not pulled, where the registry can; the referrers come along."""
        found = self.pull_manifest(source, digest)
        if source != target:
            copy_below(self, source, target, found)
            for blob, size in parts(found.raw, digest).blobs:
                self._mount(source, target, blob, size)
        self.push_manifest(target, found.raw, found.media_type, tags)
        if source != target:
            for referrer, _ in list(self.referrers(source, digest)):
                self.copy(source, target, referrer)

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository in order; empty if it does not exist."""
        checked(repository)
        found: set[str] = set()
        path = f"/v2/{repository}/tags/list?n=1000"
        for _ in range(_PAGES):
            answer = self._wire.ask("GET", path, _scope(repository, "pull"))
            if answer.status_code == 404:
                answer.close()
                break
            if answer.status_code != 200:
                raise self._wire.refusal(answer, f"tags of {repository}")
            onward = _NEXT.search(answer.headers.get("Link", ""))
            found |= set(self._json(answer, f"tags of {repository}").get("tags") or ())
            if not onward:
                break
            path = urljoin(f"{self.place}{path}", onward[1])
        return sorted(tag for tag in found if not is_fallback(tag))

    def delete(self, repository: str, digest: str) -> None:
        """Remove a manifest, every tag on it, and its place among the referrers."""
        if self.resolve(repository, _digest(digest)) is None:
            return
        raw = self.pull_manifest(repository, digest).raw
        answer = self._ask("DELETE", repository, f"manifests/{digest}", "pull,delete")
        if self._wire.expect(answer, {202, 404, 405}, f"{repository} keeps {digest[:19]}…") == 405:
            raise BadInput(f"{self.place}: does not allow deleting", hint="docker-registry: storage.delete.enabled")
        if self._referrers(repository, digest) is None:
            referring.leave(self, repository, raw, digest, self._alone(repository))

    def referrers(self, repository: str, digest: str) -> Iterator[tuple[str, str]]:
        """Yield digest and artifact type of what refers to a manifest (API, or the `sha256-<hex>` tag)."""
        found = self._referrers(repository, _digest(digest))
        yield from referring.told(referring.listed(self, repository, digest) if found is None else found)

    def _referrers(self, repository: str, digest: str) -> list[dict[str, str]] | None:
        """Ask the API; None where there is none."""
        answer = self._ask("GET", repository, f"referrers/{digest}", "pull", headers={"Accept": INDEX})
        if answer.status_code != 200 or not answer.headers.get("Content-Type", "").startswith(INDEX):
            self._wire.expect(answer, {200, 400, 404, 405}, f"referrers of {repository} {digest[:19]}…")
            return None
        raw = self._wire.read(answer, MANIFEST_LIMIT, "the list of referrers")
        parts(raw, "the list of referrers")
        listed: list[dict[str, str]] = json.loads(raw).get("manifests", [])
        return listed

    def _ask(
        self,
        method: str,
        repository: str,
        path: str,
        actions: str,
        *,
        repeat: bool = True,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        checked(repository)
        scope = _scope(repository, actions)
        return self._wire.ask(method, f"/v2/{repository}/{path}", scope, repeat=repeat, data=data, headers=headers)

    def _blob(self, repository: str, digest: str) -> requests.Response:
        answer = self._ask("GET", repository, f"blobs/{_digest(digest)}", "pull")
        if answer.status_code == 404:
            answer.close()
            raise BadInput(f"{self.place}: {repository} has no {digest[:19]}…")
        if answer.status_code != 200:
            raise self._wire.refusal(answer, f"{repository} {digest[:19]}…")
        return answer

    def _upload(self, repository: str, location: str, data: bytes | Path, digest: str, size: int) -> None:
        """Send one PUT for a small blob; PATCH after PATCH and an empty PUT for a large one."""
        scope, octets = _scope(repository, "pull,push"), {"Content-Type": "application/octet-stream"}
        last = piece_of(data, 0, size) if size <= _PIECE else b""
        for start in range(0, size if size > _PIECE else 0, _PIECE):
            piece = piece_of(data, start, _PIECE)
            span = {"Content-Range": f"{start}-{start + len(piece) - 1}"}
            answer = self._wire.ask("PATCH", location, scope, repeat=False, data=piece, headers=octets | span)
            location = self._location(answer, repository, f"upload from byte {start:,}")
        end = location + ("&" if "?" in location else "?") + urlencode({"digest": digest})
        answer = self._wire.ask("PUT", end, scope, repeat=False, data=last, headers=octets)
        self._wire.expect(answer, {201}, f"{repository} does not take {digest[:19]}…")

    def _mount(self, source: str, target: str, digest: str, size: int) -> None:
        if self.has_blob(target, digest):
            return
        path = f"/v2/{target}/blobs/uploads/?{urlencode({'mount': digest, 'from': source})}"
        scope = f"{_scope(target, 'pull,push')} {_scope(source, 'pull')}"
        answer = self._wire.ask("POST", path, scope, repeat=False)
        if self._wire.expect(answer, {201, 202}, f"{target} does not mount {digest[:19]}…") == 201:
            return
        location = self._location(answer, target, "upload")  # it opened an upload instead: send the bytes
        self._upload(target, location, self.pull_blob(source, digest, size), digest, size)

    def _location(self, answer: requests.Response, repository: str, what: str) -> str:
        self._wire.expect(answer, {202}, f"{repository}: {what}")
        where = answer.headers.get("Location")
        if not where:
            raise Unavailable(f"{self.place}: {repository}: {what}: the registry does not say where to")
        return urljoin(answer.url, where)

    def _json(self, answer: requests.Response, what: str) -> dict[str, list[str]]:
        try:
            found = json.loads(self._wire.read(answer, MANIFEST_LIMIT, what))
        except ValueError as error:
            raise Unavailable(f"{self.place}: {what}: not JSON") from error
        return found if isinstance(found, dict) else {}

    def _hold(self, found: str, wanted: str, repository: str) -> None:
        if found != wanted:
            raise BadInput(f"{self.place}: {repository}: got {found[:19]}…, wanted {wanted[:19]}…",
                           hint="it was altered there or on the way")  # fmt: skip

    @contextmanager
    def _alone(self, repository: str) -> Iterator[None]:
        """Keep other processes of this checkout from the lists of referrers of one repository."""
        path = _LOCKS / f"referrers-{quote(repository, safe='')}"
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield


def _scope(repository: str, actions: str) -> str:
    return f"repository:{repository}:{actions}"


def _digest(digest: str) -> str:
    if not is_digest(digest):
        raise BadInput(f"{digest[:80]!r}: not a sha256 digest")
    return digest
