"""That others can verify what we sign: securesystemslib's DSSE, and OpenSSL on the command line."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import pytest

from ci.adapters import keys
from ci.packaging.interface import STATEMENT
from ci.packaging.provenance import Made, signed
from ci.params_packaging import Signing

MADE = Made("flights", "1.0.0", "b" * 64, "a" * 64, {"data": {"version": "d" * 64}, "params": "e" * 64, "code": {}})


@pytest.fixture
def envelope(tmp_path):
    """An envelope, and the file of the public key; the private key was made by OpenSSL where that is there."""
    settings = Signing(key_file=str(tmp_path / "signing.pem"))
    if shutil.which("openssl"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", settings.key_file], check=True)
    signer = keys.signer(settings, print, {})
    (public,) = keys.trusted_files(settings, {})
    return signed(MADE, {"data": "sha256:" + "1" * 64}, {}, signer), public


def test_securesystemslib_agrees(envelope):
    dsse = pytest.importorskip("securesystemslib.dsse", reason="securesystemslib is not installed")
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    raw, public = envelope
    document = json.loads(raw)
    key = SSlibKey.from_crypto(keys._public(public).key, keyid=document["signatures"][0]["keyid"])
    found = dsse.Envelope.from_dict(json.loads(raw))
    assert found.payload_type == STATEMENT
    assert set(found.verify([key], 1)) == {key.keyid}
    document["payload"] = base64.b64encode(b"{}").decode()
    with pytest.raises(VerificationError):
        dsse.Envelope.from_dict(document).verify([key], 1)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_agrees(envelope, tmp_path):
    raw, public = envelope
    document = json.loads(raw)
    payload = base64.b64decode(document["payload"])
    message = b"DSSEv1 %d %s %d %s" % (len(STATEMENT), STATEMENT.encode(), len(payload), payload)
    (tmp_path / "signature").write_bytes(base64.b64decode(document["signatures"][0]["sig"]))

    def verified(content: bytes) -> bool:
        (tmp_path / "message").write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(public)]
        command += ["-sigfile", str(tmp_path / "signature"), "-in", str(tmp_path / "message")]
        return subprocess.run(command, capture_output=True).returncode == 0

    assert verified(message)
    assert not verified(message + b" ")
