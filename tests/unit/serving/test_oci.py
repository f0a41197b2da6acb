"""Artifacts that somebody made to do harm: each ends as a refusal, never as an accident."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import oci, trust
from serving.blobs import digest_of, held
from serving.errors import BadOption, BundleError
from serving.settings import Settings, parse

DIGEST = digest_of(b"x")
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)


class Store:
    """A repository that answers what a test gives it."""

    place = "store"

    def __init__(self, manifest: bytes = b"", blob: bytes = b"x", referrers: Any = None) -> None:
        self._manifest, self._blob, self._referrers = manifest, blob, referrers

    def resolve(self, reference: str) -> str | None:
        return digest_of(self._manifest) if not reference.startswith("sha256-") else None

    def manifest(self, digest: str) -> bytes:
        return self._manifest

    def blob(self, digest: str, limit: int) -> bytes:
        return held(self._blob, digest, "blob")

    def referrers(self, digest: str) -> Any:
        return self._referrers


def registered(store: Store, *, keys: bool = False) -> oci.Registered:
    made = oci.Registered("oci://host/a:live", Settings(allow_unsigned=True))
    made._store, made._unsigned = store, not keys
    made._keys = [KEY.public_key()] if keys else []
    return made


def layer(title: Any = "a.json", digest: Any = DIGEST, size: Any = 1, **more: Any) -> dict[str, Any]:
    return {"digest": digest, "size": size, "annotations": {oci.TITLE: title}, **more}


def manifest(*layers: Any, **more: Any) -> bytes:
    return json.dumps({"artifactType": oci.BUNDLE, "layers": list(layers)} | more).encode()


def test_files_come_back_in_memory():
    found = registered(Store(manifest(layer(), layer("manifest.json")))).locate()
    assert (found.files, found.version) == ({"a.json": b"x", "manifest.json": b"x"}, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b"nul", b"\xff", b"[" * 100_000, b'{"layers": 3}',
        manifest(layer("../up")), manifest(layer("a/b")), manifest(layer("")), manifest(layer(3)), manifest(layer("..")),
        manifest(layer(), layer()), manifest(layer(digest="sha256:x")), manifest(layer(digest=None)),
        manifest(layer(size=-1)), manifest(layer(size="1")), manifest(layer(size=oci.LIMIT + 1)), manifest(layer(size=True)),
        manifest(*(layer(str(number)) for number in range(100))), manifest("x"), manifest(layer(annotations=[1])),
        manifest(layer(), artifactType="other"), manifest(layers=[[]]),
    ],
)  # fmt: skip
def test_what_is_no_bundle_is_refused(raw):
    with pytest.raises(BundleError) as caught:
        registered(Store(raw)).locate()
    assert caught.value.reason == "format"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(DIGEST),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["layers", "digest", "size", "annotations", oci.TITLE, "artifactType", "subject", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(ANYTHING, ANYTHING)
def test_any_document_ends_as_a_bundle_or_a_refusal(document, layers):
    for raw in (document, {"artifactType": oci.BUNDLE, "layers": layers}):
        with contextlib.suppress(BundleError):
            registered(Store(json.dumps(raw).encode())).locate()


@settings(max_examples=40, deadline=None)
@given(st.lists(ANYTHING), ANYTHING)
def test_any_list_of_referrers_ends_as_a_refusal(referrers, about):
    listed = [*referrers, {"artifactType": trust.PAYLOAD, "digest": DIGEST}]
    store = Store(json.dumps({"artifactType": oci.BUNDLE, "layers": about}).encode(), referrers=listed)
    with pytest.raises(BundleError):
        registered(store, keys=True).locate()


@settings(max_examples=40, deadline=None)
@given(st.binary() | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_envelope_ends_as_a_refusal(raw):
    with pytest.raises(BundleError) as caught:
        trust.verify([raw], DIGEST, [KEY.public_key()], "it")
    assert caught.value.reason == "signature"


@pytest.mark.parametrize(
    ("uri", "reference"),
    [
        ("oci://host/a", "latest"),
        ("oci://host:5000/a/b-c:1.0", "1.0"),
        ("oci+http://[::1]:5000/a", "latest"),
        (f"oci://host/a@{DIGEST}", DIGEST),
        (f"oci://host/a:1.0@{DIGEST}", DIGEST),
        ("oci-layout:///x/y:a/b:1", "1"),
        (f"oci-layout:///x:y/z:a@{DIGEST}", DIGEST),
    ],
)
def test_addresses(uri, reference):
    assert oci.Registered(uri, Settings(allow_unsigned=True))._reference == reference


@pytest.mark.parametrize(
    "uri",
    ["oci://host", "oci://host/", "oci://host/A", "oci://host/a:", "oci://u:p@host/a", "oci://host/a/../b", "oci:///a",
     "oci://host/a@sha256:1", "oci-layout://x:a", "oci-layout:///x", "oci://host/a\nb", "oci://host/a?b", "oci://ho st/a"],
)  # fmt: skip
def test_what_is_no_address(uri):
    with pytest.raises(BadOption, match="--model"):
        oci.Registered(uri, Settings(allow_unsigned=True))


def test_a_login_comes_from_environment_or_file_only(tmp_path):
    (tmp_path / "login").write_text("me:secret\n")
    model = ["--model", "x"]
    assert parse([*model, "--registry-login-file", str(tmp_path / "login")], {}).registry_login == "me:secret"
    assert parse(model, {"SLIPWAY_SERVING_REGISTRY_LOGIN": "me:other"}).registry_login == "me:other"
    with pytest.raises(SystemExit):
        parse([*model, "--registry-login", "me:secret"], {})
    for bad in ("", "me", ":secret", "me:"):
        (tmp_path / "login").write_text(bad)
        with pytest.raises(BadOption, match="--registry-login-file") as caught:
            parse([*model, "--registry-login-file", str(tmp_path / "login")], {})
        assert "secret" not in str(caught.value)
