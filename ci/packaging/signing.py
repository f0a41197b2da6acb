"""
Signatures: Ed25519 keys, and the DSSE envelope that carries a signed payload together with its type.

After DSSE 1.0 (secure-systems-lab/dsse, protocol.md): what is signed is the pre-authentication encoding of type and
payload, so that bytes can never be taken for something of another type.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ci.errors import BadInput
from ci.packaging.oci import spell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Why = Literal["unsigned", "key", "signature", "subject", "predicate", "format"]


class Refused(BadInput):
    """Evidence that does not hold; `reason` is one of a closed list."""

    def __init__(self, reason: Why, message: str, *, hint: str = "") -> None:
        """Name the reason first: it is what people and logs look for."""
        super().__init__(message, hint=hint)
        self.reason: Why = reason


@dataclass(frozen=True)
class PublicKey:
    """A key that is trusted."""

    key: Ed25519PublicKey

    @property
    def fingerprint(self) -> str:
        """The sha256 of the key (SubjectPublicKeyInfo, DER) in hex: its name everywhere."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    @property
    def pem(self) -> bytes:
        """The key as files hold it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature of a message is by this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, repr=False)
class Signer:
    """Holds the private key, and shows it to nobody."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """The half that others may have."""
        return PublicKey(self.key.public_key())

    @property
    def fingerprint(self) -> str:
        """The name of the key."""
        return self.public.fingerprint

    def sign(self, message: bytes) -> bytes:
        """Sign; the same message gets the same signature."""
        return self.key.sign(message)

    def __repr__(self) -> str:
        return f"Signer({self.fingerprint[:12]})"


def encoded(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def enveloped(payload_type: str, payload: bytes, signer: Signer) -> bytes:
    """Sign a payload and put it into an envelope."""
    signature = signer.sign(encoded(payload_type, payload))
    return spell(
        {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": signer.fingerprint, "sig": base64.b64encode(signature).decode()}],
        }
    )


def opened(envelope: bytes, payload_type: str, trusted: Sequence[PublicKey], what: str) -> tuple[bytes, PublicKey]:
    """
    Return the payload of an envelope, and whose signature it carries.

    Raises:
        Refused: `format` (no such envelope), `unsigned`, `key` (by nobody who is trusted), `signature` (by somebody who
            is, but of other bytes).
    """
    try:
        document = json.loads(envelope)
        payload = _plain(document["payload"])
        signatures = [(str(item.get("keyid", "")), _plain(item["sig"])) for item in document["signatures"]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise Refused("format", f"{what}: not a signed envelope ({error})") from error
    if document.get("payloadType") != payload_type:
        raise Refused("format", f"{what}: holds {str(document.get('payloadType'))[:80]}, not {payload_type}")
    if not signatures:
        raise Refused("unsigned", f"{what}: unsigned: the envelope has no signature")
    message = encoded(payload_type, payload)
    for key in trusted:
        if any(key.signed(message, signature) for _, signature in signatures):
            return payload, key
    claimed = [name for name, _ in signatures]
    if set(claimed) & {key.fingerprint for key in trusted}:
        raise Refused("signature", f"{what}: tampered with: the signature by {claimed[0][:12]}… is of other bytes")
    raise Refused("key", f"{what}: signed by {claimed[0][:12] or 'an unnamed key'}…, which is not among the trusted keys",
                  hint="signing.trusted in params.yaml lists the files of the keys")  # fmt: skip


def _plain(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
