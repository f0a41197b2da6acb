"""Whose events one believes, where public keys are configured; without any, the chain alone speaks."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Protocol

from ci.files import to_json
from ci.ledger.event import Event, Signature

if TYPE_CHECKING:
    from collections.abc import Callable


class Signer(Protocol):
    """A private key."""

    @property
    def fingerprint(self) -> str:
        """Sha256 of the public key, hex."""

    def sign(self, data: bytes) -> bytes:
        """Return the Ed25519 signature of some bytes."""


def signed(event: Event, signer: Signer | None) -> Event:
    """Return the event with a signature, if there is somebody to sign."""
    if signer is None:
        return event
    value = base64.b64encode(signer.sign(_bytes(event))).decode()
    return event.model_copy(update={"signature": Signature(key=signer.fingerprint, value=value)})


def only_by(verify: Callable[[str, bytes, bytes], bool]) -> Callable[[Event], str | None]:
    """
    Return what says of an event why it is not believed, None if it is.

    `verify(fingerprint, signature, data)` is False for keys that nobody trusts.
    """

    def judge(event: Event) -> str | None:
        if event.signature is None:
            return "not signed, though only signed events are believed here (signing.trusted)"
        value = base64.b64decode(event.signature.value)
        if not verify(event.signature.key, value, _bytes(event)):
            return f"signed by no trusted key, or changed since ({event.signature.key[:12]})"
        return None

    return judge


def _bytes(event: Event) -> bytes:
    return b"slipway ledger event v1\n" + to_json(event.signed_part()).encode()
