from __future__ import annotations

import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ci.adapters import keys
from ci.errors import BadInput
from ci.params_packaging import Signing

PEM = serialization.Encoding.PEM


def private(key, encryption=serialization.NoEncryption()):  # noqa: B008
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.fixture
def settings(tmp_path):
    return Signing(key_file=str(tmp_path / "keys" / "signing.pem"))


def test_a_key_is_made_once_for_its_owner_alone(settings, tmp_path):
    said: list[str] = []
    first = keys.signer(settings, said.append, {})
    assert keys.signer(settings, said.append, {}).fingerprint == first.fingerprint
    (warning,) = said
    assert "signing.pem" in warning
    path = tmp_path / "keys" / "signing.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines()[1] not in warning
    assert [item.name for item in path.parent.iterdir()] == ["signing.pem"]


def test_all_who_need_a_key_at_once_get_the_same(settings):
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(keys.signer(settings, lambda _: None, {}).fingerprint))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_environment_wins(settings):
    keys.signer(settings, lambda _: None, {})
    key = Ed25519PrivateKey.generate()
    environ = {"SLIPWAY_SIGNING_KEY": private(key).decode()}
    assert keys.signer(settings, pytest.fail, environ).public.key == key.public_key()
    assert keys.trusted(settings, environ)[0].key == key.public_key()


def test_what_is_trusted(settings, tmp_path):
    with pytest.raises(BadInput, match=r"signing\.trusted: names no key"):
        keys.trusted(settings, {})
    signer = keys.signer(settings, lambda _: None, {})
    assert keys.trusted(settings, {}) == [signer.public]
    (path,) = keys.trusted_files(settings, {})
    assert path.read_bytes() == signer.public.pem
    listed = Signing(trusted=[str(path)], key_file="/none")
    assert keys.trusted(listed, {})[0].fingerprint == signer.fingerprint
    assert keys.trusted_files(listed, {}) == [path]


@pytest.mark.parametrize(
    "raw",
    [
        b"secret-but-no-key",
        b"",
        private(ec.generate_private_key(ec.SECP256R1())),
        private(Ed25519PrivateKey.generate(), serialization.BestAvailableEncryption(b"x")),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(settings, tmp_path, raw):
    path = tmp_path / "keys" / "signing.pem"
    path.parent.mkdir()
    path.write_bytes(raw)
    for ask in (
        lambda: keys.signer(settings, pytest.fail, {}),
        lambda: keys.trusted(Signing(trusted=[str(path)]), {}),
        lambda: keys.signer(settings, pytest.fail, {"SLIPWAY_SIGNING_KEY": raw.decode() or "x"}),
    ):
        with pytest.raises(BadInput) as caught:
            ask()
        assert "secret" not in str(caught.value)
        assert path.read_bytes() == raw
