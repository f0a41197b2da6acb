from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ci.packaging.scan import check, scan_bytes, scan_folder
from ci.report import Found


class Evil:
    def __reduce__(self):
        return print, ("hello",)


def found(name: str, data: bytes) -> list[str]:
    return [str(item) for item in scan_bytes(name, data)]


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return made.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        item = tarfile.TarInfo(name)
        item.size = len(data)
        archive.addfile(item, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_known_by_their_bytes(protocol):
    (what,) = found("weights.bin", pickle.dumps(Evil(), protocol))
    assert what == "weights.bin: holds a pickle, which runs code when it is read"
    if protocol >= 2:
        assert found("x.bin", pickle.dumps({"a": [1, 2]}, protocol))


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "MODEL.PT", "a/b.ckpt"])
def test_pickles_are_known_by_their_names(name):
    assert "runs code" in found(name, b"whatever")[0]


def test_object_arrays_hide_pickles():
    made = io.BytesIO()
    np.save(made, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "pickle" in found("rows.npy", made.getvalue())[0]
    plain = io.BytesIO()
    np.save(plain, np.zeros(100))
    assert found("rows.npy", plain.getvalue()) == []


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAA\n", "a private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0000000000000000000000000000", "a private key"),
        (b"key = AKIA" + b"ABCDEFGH23456723", "an AWS access key"),
        (b"token: ghp_" + b"a" * 36, "a GitHub token"),
        (b"url = postgres://app:hunter22@db.example.org/x", "a password in a URL"),
        (b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + b"d" * 43, "a JSON Web Token"),
    ],
)
def test_secrets_are_named_and_not_shown(secret, words):
    (what,) = found("notes.txt", b"before\n" + secret + b"\nafter")
    assert what == f"notes.txt: holds what looks like {words}"


@pytest.mark.parametrize("name", [".env", "deep/.netrc", "id_ed25519", "prod.pfx", ".env.production"])
def test_names_that_secrets_have(name):
    assert found(name, b"") == [f"{name}: has a name that secrets have"]


def test_archives_are_opened_within_archives():
    inner = zipped(**{"archive__data.pkl": pickle.dumps(Evil())})
    assert found("model.onnx", inner) == [
        "model.onnx!archive/data.pkl: is a .pkl file, which runs code when it is read"
    ]
    outer = gzip.compress(tarred("a/w.bin", zipped(weights=pickle.dumps(Evil()))))
    assert found("w.tgz", outer) == ["w.tgz!content!a/w.bin!weights: holds a pickle, which runs code when it is read"]


def test_what_cannot_be_looked_into_is_told():
    broken = zipped(a=b"x" * 1000)[:-30]
    assert "cannot be looked into" in found("w.whl", broken)[0]
    nested = b"x"
    for _ in range(6):
        nested = zipped(a=nested)
    assert "nested" in found("n.zip", nested)[0]


def test_what_is_harmless_is_let_through():
    for data in (b"", b"{}", b'{"url": "https://example.org:8080/a@b"}', b"(not a pickle) at all.", b"\x80abc" * 9,
                 b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----", b"]".ljust(20)):  # fmt: skip
        assert found("file.json", data) == []


def test_our_own_bundles_server_and_templates_are_clean():
    root = Path(__file__).resolve().parents[3]
    for folder in ("serving", "ci", "templates"):
        assert scan_folder(root / folder) == []


def test_no_files_is_no_pass():
    assert check([], 0).outcome is Found.INCONCLUSIVE
    assert check([], 3).outcome is Found.PASSED


def test_a_find_rejects_and_is_named(tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Evil()))
    said = check(scan_folder(tmp_path), 1)
    assert said.outcome is Found.REJECTED
    assert said.message.startswith("model.pkl: ")
