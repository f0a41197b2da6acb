"""
Bundles out of a registry: `oci://host[:port]/repository[:tag|@digest]`, or the same out of an OCI image layout.

The tag is asked for its digest, everything else is fetched by digest, and nothing is believed before a trusted key has
signed for it. The bundle stays in memory: a server needs no folder that it can write.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar
from urllib.parse import unquote

import msgspec

from serving import trust
from serving.blobs import Http, Layout
from serving.cache import Cache
from serving.errors import BadOption, BundleError
from serving.loader import Fingerprint, Located

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.settings import Settings

BUNDLE = "application/vnd.slipway.bundle.v1"
TITLE = "org.opencontainers.image.title"
LIMIT = 2 << 30  # bytes of a bundle
_EVIDENCE_LIMIT = 16 << 20
_MOST_FILES, _MOST_REFERRERS = 64, 100
_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_NAME = rf"(?P<repository>{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
_HTTP = re.compile(
    rf"oci(?P<plain>\+http)?://(?P<host>[A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-f:]+\](?::\d+)?)/{_NAME}", re.ASCII
)
_LAYOUT = re.compile(rf"oci-layout://(?P<folder>/[^\x00]*?):{_NAME}", re.ASCII)
T = TypeVar("T")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]


class Layer(msgspec.Struct):
    """One file of an artifact."""

    digest: Digest
    size: Annotated[int, msgspec.Meta(ge=0, le=LIMIT)]
    annotations: dict[str, str] | None = None


class Artifact(msgspec.Struct):
    """A manifest."""

    layers: list[Layer]
    artifactType: str = ""  # noqa: N815 # the standard's name


class Index(msgspec.Struct):
    """What refers to a manifest, as a tag lists it."""

    manifests: list[Any]


class Referrer(msgspec.Struct):
    """One entry of such a list."""

    digest: Digest
    artifactType: str = ""  # noqa: N815


class Store(Protocol):
    """One repository, wherever it lies."""

    place: str

    def resolve(self, reference: str) -> str | None:
        """Return the digest behind a tag or digest."""

    def manifest(self, digest: str) -> bytes:
        """Return a manifest, held to its digest."""

    def blob(self, digest: str, limit: int) -> bytes:
        """Return a blob, held to its digest and limit."""

    def referrers(self, digest: str) -> list[dict[str, Any]] | None:
        """Return descriptors of what refers to a manifest; None if only the tag can tell."""


class Registered:
    """The bundle at an address in a registry."""

    def __init__(self, uri: str, settings: Settings) -> None:
        """
        Take the address apart, and read the trusted keys.

        Raises:
            BadOption: it is no such address, or nothing says whose signature counts.
        """
        found = _HTTP.fullmatch(uri) or _LAYOUT.fullmatch(uri)
        if not found:
            raise BadOption(f"--model: {uri}: not {' or '.join(_GRAMMAR)}")
        named = found.groupdict()
        self._reference = named["digest"] or named["tag"] or "latest"
        self._store = _store(named, settings)
        self._what = f"{self._store.place}{'@' if named['digest'] else ':'}{self._reference}"
        self._cache = Cache(settings.cache)
        self._keys = trust.load([name for name in settings.trusted_keys.split(",") if name])
        self._unsigned = settings.allow_unsigned
        if not self._keys and not self._unsigned:
            raise BadOption("--trusted-keys: missing; a bundle from a registry is taken by its signature only "
                            "(or from anybody, with --allow-unsigned)")  # fmt: skip

    def locate(self) -> Located:
        """
        Fetch, check and return the bundle.

        Raises:
            BundleError: reason `unreachable`, `missing`, `digest`, `format`, `unsigned` or `signature`.
        """
        digest = self._digest()
        layers = self._layers(self._cache.get(digest, lambda: self._store.manifest(digest)))
        claim = None if self._unsigned and not self._keys else self._claim(digest)
        files = {name: self._blob(item.digest, item.size) for name, item in layers.items()}
        sealed = hashlib.sha256(files.get("manifest.json", b"")).hexdigest()
        if claim and claim.bundle != sealed:
            raise BundleError("signature", f"{self._what}: holds bundle {sealed[:12]}, signed for {claim.bundle[:12]}")
        return Located(files, claim.version if claim else None)

    def fingerprint(self) -> Fingerprint:
        """Tell what is there now: its digest, and what refers to it, since a signature may come later."""
        digest = self._digest()
        return (digest, *sorted(item.digest for item in self._referrers(digest)))

    def _digest(self) -> str:
        if _DIGEST.fullmatch(self._reference):
            return self._reference
        digest = self._store.resolve(self._reference)
        if digest is None:
            raise BundleError("missing", f"{self._what}: there is none")
        if not _DIGEST.fullmatch(digest):
            raise BundleError("format", f"{self._what}: is at {digest[:80]!r}, which is no sha256 digest")
        return digest

    def _claim(self, digest: str) -> trust.Claim | None:
        try:
            return trust.verify(self._envelopes(digest), digest, self._keys, self._what)
        except BundleError as error:
            if error.reason == "unsigned" and self._unsigned:
                return None
            raise

    def _envelopes(self, digest: str) -> Iterator[bytes]:
        """Yield what was signed about a manifest."""
        for item in self._referrers(digest):
            if item.artifactType == trust.PAYLOAD:
                raw = self._cache.get(item.digest, functools.partial(self._store.manifest, item.digest))
                for layer in self._parsed(raw, Artifact).layers[:1]:
                    yield self._blob(layer.digest, min(layer.size, _EVIDENCE_LIMIT))

    def _referrers(self, digest: str) -> list[Referrer]:
        """List what refers to a manifest; an entry that makes no sense is none."""
        found = self._store.referrers(digest)
        if found is None:
            listed = self._store.resolve(digest.replace(":", "-"))
            found = self._parsed(self._store.manifest(listed), Index).manifests if listed else []
        return list(_sensible(found[:_MOST_REFERRERS]))

    def _layers(self, raw: bytes) -> dict[str, Layer]:
        """Read which files the artifact has."""
        artifact = self._parsed(raw, Artifact)
        if artifact.artifactType != BUNDLE:
            raise BundleError("format", f"{self._what}: is {artifact.artifactType[:80]!r}, not a model bundle")
        layers: dict[str, Layer] = {}
        for item in artifact.layers:
            name = (item.annotations or {}).get(TITLE, "")
            if Path(name).name != name or name.startswith(".") or not name or name in layers:
                raise BundleError("format", f"{self._what}: {name[:80]!r} is not the name of one plain file")
            layers[name] = item
        if len(layers) > _MOST_FILES or sum(item.size for item in layers.values()) > LIMIT:
            raise BundleError("format", f"{self._what}: more than {_MOST_FILES} files or {LIMIT:,} bytes")
        return layers

    def _parsed(self, raw: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError("format", f"{self._what}: not a manifest: {error}") from error

    def _blob(self, digest: str, limit: int) -> bytes:
        return self._cache.get(digest, lambda: self._store.blob(digest, limit))


def _sensible(items: list[Any]) -> Iterator[Referrer]:
    for item in items:
        with contextlib.suppress(msgspec.ValidationError):
            yield msgspec.convert(item, Referrer)


_GRAMMAR = ("oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]", "oci-layout:///FOLDER:REPOSITORY[:TAG|@DIGEST]")


def _store(named: dict[str, str | None], settings: Settings) -> Store:
    repository = str(named["repository"])
    if named.get("folder"):
        return Layout(Path(unquote(str(named["folder"]))), repository)
    base = f"{'http' if named['plain'] else 'https'}://{named['host']}"
    try:
        return Http(base, repository, settings.registry_login, settings.registry_ca, settings.registry_timeout_s)
    except OSError as error:
        raise BadOption(f"--registry-ca: {settings.registry_ca}: {error.strerror or error}") from error
