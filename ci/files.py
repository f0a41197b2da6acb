"""Reading and writing files so that nobody ever sees half of one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20


@contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """
    Translate what an operating system says of `path` into one line.

    Raises:
        Unavailable: the disk is full; a retry after making room helps.
        BadInput: the path is read-only, missing, or not what it should be.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a library's own, such as a broken connection: no word on `path`
            raise
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Unavailable(f"{path}: no space left on the device", hint="make room and run again") from error
        raise BadInput(f"{_named(error, path)}: {(error.strerror or str(error)).lower()}") from error


def _named(error: OSError, path: Path) -> Path | str:
    """Name the file that the system names, unless it is a temporary one that nobody has heard of."""
    known = isinstance(error.filename, str) and f".{path.name}." not in error.filename
    return error.filename if known else path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Yield a temporary path beside `path`; rename it over `path` if the block succeeds, remove it if not.

    Raises:
        Unavailable, BadInput: as `said_plainly` says.
    """
    with said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        beside = Path(name)
        beside.chmod(0o644)
        try:
            yield beside
            _flush(beside)
            beside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()


def forgotten(folder: Path, pattern: str = ".*.part", older_s: float = 3600) -> None:
    """Remove what killed processes left half-written in a folder; what is younger may be somebody's who is at work."""
    for left in folder.glob(pattern):
        with suppress(OSError):
            if left.is_file() and left.stat().st_mtime < time.time() - older_s:
                left.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """
    Yield an empty folder beside `path`; put it in the place of `path` if the block succeeds.

    Raises:
        Unavailable, BadInput: as `said_plainly` says.
    """
    with said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        beside.chmod(0o755)
        try:
            yield beside
            for written in beside.rglob("*"):
                _flush(written)
            _take_the_place(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _flush(path: Path) -> None:
    """Bring a file to the disk: a rename that survives a power cut must not outlive the bytes."""
    if path.is_file():
        with path.open("rb") as written:
            os.fsync(written.fileno())


def _take_the_place(beside: Path, path: Path) -> None:
    """Rename over a folder; the former one steps aside first, so that nobody sees it half removed."""
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        if path.exists():
            path.replace(aside)
        beside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def emptied(path: Path) -> Iterator[None]:
    """
    Hold an empty folder while the block runs, and leave none: neither what a killed run left there nor one's own.

    Raises:
        Unavailable, BadInput: as `said_plainly` says.
    """
    with said_plainly(path):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        try:
            yield
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """
    Hold a lock file while the block runs; the system lets go of it however the process ends.

    Raises:
        Unavailable: another process holds it; the message names it.
        BadInput: the file cannot be written.
    """
    with ExitStack() as stack:
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.open("a+", encoding="utf-8"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip()
            raise Unavailable(f"{what}: another process works on it{f' ({holder})' if holder else ''}",
                              hint="wait for it, or use a clone of your own") from error  # fmt: skip
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield
        lock.truncate(0)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, beside and then renamed; half a character, as file names may hold, is spelled out."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data`, beside and then renamed."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def to_json(value: Any) -> str:
    """Spell a value so that equal values have equal bytes; NaN and infinity are refused."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a value as `to_json` spells it."""
    write_text(path, to_json(value))


def read_json(path: Path) -> Any:
    """
    Read a JSON file.

    Raises:
        BadInput: the file is missing, unreadable or not JSON.
    """
    with said_plainly(path):
        raw = path.read_bytes()
    try:
        return json.loads(raw)
    except ValueError as error:
        raise BadInput(f"{path}: not JSON ({error})") from error


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with said_plainly(path), path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of(value: Any) -> str:
    """Hex digest of a value as `to_json` spells it."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def sha256_of_tree(*roots: Path) -> str:
    """Hex digest of the names and bytes of all files below `roots`, without caches; a root may be a file."""
    found = sorted(
        path
        for root in roots
        for path in ([root] if root.is_file() else root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    )
    return sha256_of([[path.as_posix(), sha256(path)] for path in found])
