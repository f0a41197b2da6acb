"""
Whether a bundle that came over a network is one that somebody trusted has released.

A DSSE envelope holds an in-toto statement; a trusted Ed25519 key must have signed it, and it must speak of the very
manifest that was fetched. docs/reference/evidence.md describes both.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from serving.errors import BadOption, BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PROVENANCE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:slipway:package:v1"


class Signature(msgspec.Struct):
    """One signature of an envelope; who is said to have made it does not matter here."""

    sig: str


class Envelope(msgspec.Struct):
    """A DSSE envelope."""

    payload: str
    payloadType: str  # noqa: N815 # the standard's name
    signatures: list[Signature]


class Statement(msgspec.Struct):
    """The parts of an in-toto statement that are looked at."""

    type: str = msgspec.field(name="_type")
    predicateType: str  # noqa: N815
    subject: list[dict[str, Any]]
    predicate: dict[str, Any]


class Claim(msgspec.Struct, frozen=True):
    """What a trusted key says of a manifest: the bundle in it (digest in hex), and the release's version."""

    bundle: str
    version: str


def load(names: Sequence[str]) -> list[Ed25519PublicKey]:
    """
    Read the trusted keys.

    Raises:
        BadOption: a file is missing, or not an Ed25519 public key in PEM.
    """
    keys = []
    for name in names:
        try:
            key = load_pem_public_key(Path(name).read_bytes())
        except OSError as error:
            raise BadOption(f"--trusted-keys: {name}: {error.strerror or error}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadOption(f"--trusted-keys: {name}: not a public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise BadOption(f"--trusted-keys: {name}: not an Ed25519 key")
        keys.append(key)
    return keys


def verify(envelopes: Iterable[bytes], digest: str, keys: Sequence[Ed25519PublicKey], what: str) -> Claim:
    """
    Return what the first envelope that holds says of the manifest `digest` (`sha256:…`).

    Raises:
        BundleError: reason `unsigned` where there is no envelope, else `signature`, saying why the first does not hold.
    """
    fault: BundleError | None = None
    for envelope in envelopes:
        try:
            return _claim(_payload(envelope, keys, what), digest, what)
        except BundleError as error:
            fault = fault or error
    raise fault or BundleError("unsigned", f"{what}: unsigned: nothing that was signed refers to it")


def _payload(raw: bytes, keys: Sequence[Ed25519PublicKey], what: str) -> bytes:
    try:
        envelope = msgspec.json.decode(raw, type=Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(item.sig, validate=True) for item in envelope.signatures]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError) as error:
        raise BundleError("signature", f"{what}: not a signed envelope: {error}") from error
    if envelope.payloadType != PAYLOAD:
        raise BundleError("signature", f"{what}: the envelope holds {envelope.payloadType[:80]}, not {PAYLOAD}")
    kind = envelope.payloadType.encode()
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    if not any(_signed(key, signature, message) for key in keys for signature in signatures):
        raise BundleError("signature", f"{what}: no trusted key has signed this: another's signature, or other bytes")
    return payload


def _signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _claim(payload: bytes, digest: str, what: str) -> Claim:
    try:
        found = msgspec.json.decode(payload, type=Statement)
        kinds = found.type, found.predicateType, found.predicate["buildDefinition"]["buildType"]
        claim = msgspec.convert(found.predicate["buildDefinition"]["externalParameters"], Claim)
        subjects = {f"sha256:{item['digest']['sha256']}" for item in found.subject}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError, TypeError) as error:
        raise BundleError("signature", f"{what}: not a statement about a release: {error}") from error
    if kinds != (_STATEMENT, _PROVENANCE, _BUILD):
        raise BundleError("signature", f"{what}: the statement is a {kinds[1][:60]} of {str(kinds[2])[:60]}")
    if digest not in subjects:
        raise BundleError("signature", f"{what}: the statement is about other things")
    return claim
