"""
What must never leave in a packaging: pickles, which run code when they are read, and secrets.

Every file is looked into by its bytes, whatever its name; archives are opened, since wheels and PyTorch files are zip
archives. A find names the file and what was found in it, never the secret itself.
"""

from __future__ import annotations

import gzip
import io
import pickletools
import re
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ci.files import said_plainly
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PICKLES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill", ".sav"}
_RISKY = re.compile(
    r"(^|/)(\.env(\.[\w-]+)?|\.netrc|\.pypirc|\.pgpass|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)|credentials(\.json)?|"
    r"\.htpasswd|kubeconfig|service[-_]account\.json|[\w.-]+\.(p12|pfx|jks|keystore|kdbx))$",
    re.IGNORECASE,
)
_SECRETS = {
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s+[A-Za-z0-9+/=:\s,-]{32}"),
    "an AWS access key": re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    "a GitHub token": re.compile(rb"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "a GitLab token": re.compile(rb"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20}"),
    "a Slack token": re.compile(rb"(?<![A-Za-z0-9])xox[abprs]-[A-Za-z0-9-]{10,}"),
    "a package index token": re.compile(rb"(?<![A-Za-z0-9])pypi-AgE[A-Za-z0-9_-]{50,}"),
    "a JSON Web Token": re.compile(
        rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"
    ),
    "a password in a URL": re.compile(
        rb"[a-z][a-z0-9+]{1,15}://[^\s:/@'\"<>{}$%]{1,64}:[^\s:/@'\"<>{}$%]{4,128}@[a-z0-9]"
    ),
}
_MOST_NESTED, _MOST_INFLATED = 4, 512 << 20  # archives in archives; bytes of what one archive holds
_SHORTEST_PICKLE, _LAST_PROTOCOL = 8, 8  # bytes; protocols up to 5 exist


@dataclass(frozen=True, slots=True)
class Find:
    """One thing that must not be there: in which file (`archive!member` inside archives), and what it is."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def scan(files: Iterable[tuple[str, Path]]) -> list[Find]:
    """
    Look into files, each with the name that it will have; return what was found, in order.

    Raises:
        BadInput: a file cannot be read.
    """
    found: list[Find] = []
    for name, path in files:
        with said_plainly(path):
            found += scan_bytes(name, path.read_bytes())
    return found


def scan_folder(folder: Path) -> list[Find]:
    """Look into all files below a folder."""
    return scan((path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file())


def check(found: list[Find], n_files: int) -> Check:
    """Say it as a check: rejected as soon as there is anything."""
    if n_files == 0:
        return Check("secrets and pickles", Found.INCONCLUSIVE, "there were no files to look into", 0, 0)
    if not found:
        return Check("secrets and pickles", Found.PASSED, f"none in {n_files} files", 0, 0, n=n_files)
    message = "; ".join(map(str, found[:5])) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
    return Check("secrets and pickles", Found.REJECTED, message, len(found), 0, n=n_files)


def scan_bytes(name: str, data: bytes, depth: int = 0) -> Iterator[Find]:
    """Yield what is found in one file."""
    suffix = PurePosixPath(name.rpartition("!")[2]).suffix.lower()
    if suffix in _PICKLES:
        yield Find(name, f"is a {suffix} file, which runs code when it is read")
    elif is_pickle(data) or (data[:6] == b"\x93NUMPY" and b"'|O'" in data[:256]):
        yield Find(name, "holds a pickle, which runs code when it is read")
    if _RISKY.search(name.replace("!", "/")):
        yield Find(name, "has a name that secrets have")
    for what, pattern in _SECRETS.items():
        if pattern.search(data):
            yield Find(name, f"holds what looks like {what}")
    yield from _inside(name, data, depth)


def is_pickle(data: bytes) -> bool:
    """
    Whether bytes are a pickle that does more than hold a number or text: its opcodes parse to their end, and build.

    A protocol byte alone proves nothing, and old protocols have none: so the opcodes themselves are read.
    """
    if (
        len(data) < _SHORTEST_PICKLE
        or data[:1] not in b"\x80(c]}"
        or (data[:1] == b"\x80" and data[1] > _LAST_PROTOCOL)
    ):
        return False
    acts = False
    try:
        for opcode, _, _ in pickletools.genops(data):
            acts = acts or opcode.name in {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ"}
    except Exception:  # noqa: BLE001  # whatever does not parse is no pickle; the parser raises a dozen kinds
        return acts and data[:1] == b"\x80"  # one that was cut short, or has something behind it
    return acts or data[:1] == b"\x80"


def _inside(name: str, data: bytes, depth: int) -> Iterator[Find]:
    """Look into what an archive holds."""
    opened = _members(data)
    if opened is None:
        return
    if depth >= _MOST_NESTED:
        yield Find(name, f"is nested in more than {_MOST_NESTED} archives, which nobody can look into")
        return
    left = _MOST_INFLATED
    try:
        for member, content in opened:
            left -= len(content)
            if left < 0:
                yield Find(name, "inflates to more than can be looked into")
                return
            yield from scan_bytes(f"{name}!{member}", content, depth + 1)
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, RuntimeError, zlib.error) as error:
        yield Find(name, f"is an archive that cannot be looked into ({type(error).__name__})")


def _members(data: bytes) -> Iterator[tuple[str, bytes]] | None:
    if data[:4] == b"PK\x03\x04":
        return _zipped(data)
    if data[257:262] == b"ustar":
        return _tarred(data)
    return _unpacked(data) if data[:3] == b"\x1f\x8b\x08" else None


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the one file in gzip; if that is an archive again, it is looked into next."""
    with gzip.open(io.BytesIO(data)) as packed:
        yield "content", packed.read(_MOST_INFLATED + 1)


def _zipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for item in archive.infolist():
            with archive.open(item) as member:
                yield item.filename, member.read(_MOST_INFLATED + 1)


def _tarred(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for item in archive:
            member = archive.extractfile(item) if item.isfile() else None
            if member:
                yield item.name, member.read(_MOST_INFLATED + 1)
