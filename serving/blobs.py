"""Where the bytes of an artifact lie: a registry over HTTP, or an OCI image layout in a folder; bounded, and by digest."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import ssl
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from serving.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_LIMIT = 4 << 20
_TOKEN_LIMIT = 1 << 20
_CHUNK = 1 << 18
_HOPS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_PARAMETER = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')
_REF = "org.opencontainers.image.ref.name"


def digest_of(raw: bytes) -> str:
    """Return the digest of bytes as registries spell it."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def held(raw: bytes, digest: str, what: str) -> bytes:
    """
    Hold bytes to their digest.

    Raises:
        BundleError: reason `digest`.
    """
    if (found := digest_of(raw)) != digest:
        raise BundleError("digest", f"{what}: got {found[:19]}…, wanted {digest[:19]}…")
    return raw


class Layout:
    """`<folder>/<repository>` is an OCI image layout."""

    def __init__(self, folder: Path, repository: str) -> None:
        self._folder = folder / repository
        self.place = str(self._folder)

    def resolve(self, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None if there is none."""
        try:
            index = json.loads((self._folder / "index.json").read_bytes())
            for item in index["manifests"]:
                name = (item.get("annotations") or {}).get(_REF)
                if reference in {name, item["digest"]}:
                    return str(item["digest"])
        except OSError as error:
            raise BundleError("unreachable", f"{self.place}: {error.strerror or error}") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BundleError("format", f"{self.place}/index.json: not an image index") from error
        return None

    def manifest(self, digest: str) -> bytes:
        """Return a manifest."""
        return self.blob(digest, MANIFEST_LIMIT)

    def blob(self, digest: str, limit: int) -> bytes:
        """
        Return a blob.

        Raises:
            BundleError: reason `missing`, `format` (too large) or `digest`.
        """
        what = f"{self.place} {digest[:19]}…"
        try:
            with (self._folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).open("rb") as source:
                raw = source.read(limit + 1)
        except OSError as error:
            raise BundleError("missing", f"{what}: {error.strerror or error}") from error
        if len(raw) > limit:
            raise BundleError("format", f"{what}: more than the {limit:,} bytes allowed")
        return held(raw, digest, what)

    def referrers(self, _digest: str) -> list[dict[str, Any]] | None:
        """There is no API: the tag has the list."""
        return None


class Http:
    """One repository of a registry; credentials go to the registry and its token server, nowhere else."""

    def __init__(self, base: str, repository: str, login: str, ca: str, timeout_s: float) -> None:
        """`base` is scheme and host, `login` is `name:password` or empty."""
        self.place = f"{base}/{repository}"
        self._base, self._repository, self._timeout_s = base, repository, timeout_s
        self._login = f"Basic {b64encode(login.encode()).decode()}" if login else ""
        self._sent = ""  # the header that the registry took last
        self._tls = ssl.create_default_context() if base.startswith("https") else None
        if self._tls and ca:
            self._tls.load_verify_locations(ca)

    def resolve(self, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None if there is none."""
        status, headers, _ = self._ask("HEAD", f"manifests/{reference}", 0, {"Accept": f"{MANIFEST}, {INDEX}"})
        if status == 404:
            return None
        self._fine(status, reference)
        return headers.get("docker-content-digest") or digest_of(self._manifest(reference))

    def manifest(self, digest: str) -> bytes:
        """
        Return a manifest.

        Raises:
            BundleError: reason `unreachable`, `missing`, `format` (too large) or `digest`.
        """
        return held(self._manifest(digest), digest, f"{self.place} {digest[:19]}…")

    def blob(self, digest: str, limit: int) -> bytes:
        """Return a blob; raises as `manifest` does."""
        status, _, raw = self._ask("GET", f"blobs/{digest}", limit, {})
        self._fine(status, digest)
        return held(raw, digest, f"{self.place} {digest[:19]}…")

    def referrers(self, digest: str) -> list[dict[str, Any]] | None:
        """Ask the API what refers to a manifest; None where there is no such API."""
        status, headers, raw = self._ask("GET", f"referrers/{digest}", MANIFEST_LIMIT, {"Accept": INDEX})
        if status != 200 or not headers.get("content-type", "").startswith(INDEX):
            return None
        try:
            return list(json.loads(raw)["manifests"])
        except (ValueError, LookupError, TypeError) as error:
            raise BundleError("format", f"{self.place}: referrers: not an image index") from error

    def _manifest(self, reference: str) -> bytes:
        accept = {"Accept": f"{MANIFEST}, {INDEX}"}
        status, _, raw = self._ask("GET", f"manifests/{reference}", MANIFEST_LIMIT, accept)
        self._fine(status, reference)
        return raw

    def _fine(self, status: int, what: str) -> None:
        if status == 404:
            raise BundleError("missing", f"{self.place} has no {what[:80]}")
        if status in {401, 403}:
            raise BundleError("unreachable", f"{self.place}: {status}: these credentials do not open it")
        if status != 200:
            raise BundleError("unreachable", f"{self.place}: {what[:80]}: answers {status}")

    def _ask(self, method: str, path: str, limit: int, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Ask, do what a challenge asks once, and follow redirects."""
        url = f"{self._base}/v2/{self._repository}/{path}"
        answer = self._go(method, url, limit, {**headers, "Authorization": self._sent})
        if answer[0] == 401:
            self._sent = self._answer(answer[1].get("www-authenticate", ""))
            answer = self._go(method, url, limit, {**headers, "Authorization": self._sent}) if self._sent else answer
        return answer

    def _go(self, method: str, url: str, limit: int, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        for _ in range(_HOPS):
            sent = {name: value for name, value in headers.items() if value}
            if not url.startswith(self._base + "/"):
                sent.pop("Authorization", None)
            status, received, raw = self._once(method, url, limit, sent)
            if status not in _REDIRECTS or method != "GET":
                return status, received, raw
            url = urljoin(url, received.get("location", ""))
        raise BundleError("unreachable", f"{self.place}: more than {_HOPS} redirects")

    def _answer(self, challenge: str) -> str:
        """Return the header that a challenge asks for; empty if there is none to give."""
        kind, _, rest = challenge.strip().partition(" ")
        if kind.lower() == "basic":
            return self._login if self._sent != self._login else ""
        if kind.lower() != "bearer":
            return ""
        asked = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
        realm = asked.get("realm", "")
        if not realm.startswith(("http://", "https://")) or (self._tls and self._login and realm.startswith("http://")):
            raise BundleError("unreachable", f"{self.place}: its token server cannot be trusted: {realm[:80]!r}")
        query = {"scope": f"repository:{self._repository}:pull"} | {k: asked[k] for k in ("service",) if k in asked}
        sent = {"Authorization": self._login} if self._login else {}
        status, _, raw = self._once("GET", f"{realm}?{urlencode(query)}", _TOKEN_LIMIT, sent)
        try:
            found = json.loads(raw)
            token = str(found.get("token") or found["access_token"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BundleError("unreachable", f"{realm}: no token ({status})") from error
        return f"Bearer {token}"

    def _once(self, method: str, url: str, limit: int, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        split, end = urlsplit(url), time.monotonic() + self._timeout_s
        secure = split.scheme == "https"
        if split.scheme not in {"http", "https"} or not split.hostname or (self._tls and not secure):
            raise BundleError("unreachable", f"{self.place}: leads to {url[:80]}, which is not followed")
        kind: Any = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        more = {"context": self._tls or ssl.create_default_context()} if secure else {}
        try:
            connection = kind(split.hostname, split.port, timeout=self._timeout_s, **more)
            try:
                connection.request(method, f"{split.path}{'?' * bool(split.query)}{split.query}", headers=headers)
                answer = connection.getresponse()
                received = {name.lower(): value for name, value in answer.getheaders()}
                return answer.status, received, b"" if method == "HEAD" else self._read(answer, limit, end, url)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BundleError("unreachable", f"{self.place}: {type(error).__name__}: {_line(error)}") from error

    def _read(self, answer: http.client.HTTPResponse, limit: int, end: float, url: str) -> bytes:
        found = bytearray()
        while piece := answer.read1(_CHUNK):
            found += piece
            if answer.status == 200 and len(found) > limit:
                raise BundleError("format", f"{url[:120]}: more than the {limit:,} bytes allowed")
            if answer.status != 200 and len(found) > _TOKEN_LIMIT:
                break
            if time.monotonic() > end:
                raise BundleError("unreachable", f"{url[:120]}: did not arrive within {self._timeout_s:g} s")
        return bytes(found)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
