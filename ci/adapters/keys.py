"""The door to keys: private ones from the environment or a file, public ones from files; never shown, never logged."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ci.errors import BadInput
from ci.files import said_plainly, write_bytes
from ci.packaging.signing import PublicKey, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.params_packaging import Signing

_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def signer(settings: Signing, warn: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Signer:
    """
    Return what signs releases: the key in the environment, or in the file; made, with a warning, when there is none.

    Raises:
        BadInput: what is there is not an Ed25519 private key in PEM without a passphrase.
    """
    found = _signer(settings, environ)
    if found:
        return found
    path = Path(settings.key_file)
    made = _make(path)
    warn(
        f"{path}: a new signing key, for this checkout alone: keep it, and keep it secret; for a team, put one into "
        f"{settings.key_env} (docs/reference/evidence.md)"
    )
    return made


def signer_if_any(settings: Signing, environ: Mapping[str, str] = os.environ) -> Signer | None:
    """
    Return what signs, if there is a key; none is made.

    Raises:
        BadInput: what is there is not an Ed25519 private key in PEM without a passphrase.
    """
    return _signer(settings, environ)


def trusted(settings: Signing, environ: Mapping[str, str] = os.environ) -> list[PublicKey]:
    """
    Return the keys whose releases may run: the files of `signing.trusted`, or the public half of the signing key.

    Raises:
        BadInput: a file is not an Ed25519 public key in PEM, or there is no key at all.
    """
    if settings.trusted:
        return [_public(Path(name)) for name in settings.trusted]
    found = _signer(settings, environ)
    if found is None:
        raise BadInput("signing.trusted: names no key, and there is no signing key whose public half could stand in",
                       hint="list the files of the public keys under signing.trusted in params.yaml")  # fmt: skip
    return [found.public]


def trusted_files(settings: Signing, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return files with the trusted keys, as servers take them; the public half is written beside the private key."""
    if settings.trusted:
        for name in settings.trusted:
            _public(Path(name))
        return [Path(name) for name in settings.trusted]
    (key,) = trusted(settings, environ)
    path = Path(settings.key_file).with_suffix(".pub")
    if not path.is_file() or path.read_bytes() != key.pem:
        write_bytes(path, key.pem)
    return [path]


def _signer(settings: Signing, environ: Mapping[str, str]) -> Signer | None:
    if environ.get(settings.key_env):
        return _private(environ[settings.key_env].encode(), settings.key_env)
    path = Path(settings.key_file)
    if not path.exists():
        return None
    with said_plainly(path):
        return _private(path.read_bytes(), str(path))


def _private(raw: bytes, where: str) -> Signer:
    try:
        key = serialization.load_pem_private_key(raw, password=None)
    except _UNREADABLE as error:
        raise BadInput(f"{where}: not a private key in PEM without a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{where}: not an Ed25519 key", hint="openssl genpkey -algorithm ed25519")
    return Signer(key)


def _public(path: Path) -> PublicKey:
    with said_plainly(path):
        raw = path.read_bytes()
    try:
        key = serialization.load_pem_public_key(raw)
    except _UNREADABLE as error:
        raise BadInput(f"{path}: not a public key in PEM", hint="openssl pkey -in key.pem -pubout") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput(f"{path}: not an Ed25519 key", hint="openssl genpkey -algorithm ed25519")
    return PublicKey(key)


def _make(path: Path) -> Signer:
    """Write a new key that only its owner may read; whole or not at all, and never over another."""
    raw = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from its first moment
        try:
            with os.fdopen(handle, "wb") as beside:
                beside.write(raw)
                beside.flush()
                os.fsync(beside.fileno())
            with suppress(FileExistsError):  # another process was quicker: its key it is
                os.link(name, path)
        finally:
            Path(name).unlink()
        return _private(path.read_bytes(), str(path))
