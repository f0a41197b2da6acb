"""
The sealed bundle that a release of this service is: its contracts, believed only as far as their digests go.

`manifest.json` lists every file with its digest, and the manifest's own digest names the release. Without a bundle the
service takes a plain folder of contracts, and is no release.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from collector import contract as contracts
from serving.errors import BadOption

MANIFEST = "manifest.json"
_NONE = "collector"


class Entry(msgspec.Struct, frozen=True):
    """What the manifest says about one file."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json` of a collection service."""

    schema_version: Literal[1]
    kind: Literal["collector"]
    files: dict[str, Entry]


class Sealed(msgspec.Struct, frozen=True):
    """All contracts by project, and the bundle as answers name it: `sha256:` and the digest's beginning."""

    contracts: dict[str, contracts.Contract]
    name: str


def load(bundle: str, folder: str) -> Sealed:
    """
    Read the contracts of a bundle; without one, those of a plain folder.

    Raises:
        BadOption: naming file and fact: missing, altered, or not what it should be.
    """
    if not bundle:
        return Sealed(contracts.load_all(Path(folder)), _NONE)
    raw = _read(Path(bundle, MANIFEST))
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadOption(f"{Path(bundle, MANIFEST)}: not the bundle of a collection service: {error}") from error
    files = {name: _verified(Path(bundle), name, entry) for name, entry in manifest.files.items()}
    found = {}
    for name, data in files.items():
        kind, _, project = name.removesuffix(".json").partition(".")
        if kind == "contract" and project:
            found[project] = contracts.parse(data, Path(bundle, name), project)
    if not found:
        raise BadOption(f"{bundle}: no contract in it")
    return Sealed(found, f"sha256:{sha256(raw).hexdigest()[:12]}")


def _verified(folder: Path, name: str, entry: Entry) -> bytes:
    if Path(name).name != name:
        raise BadOption(f"{folder / MANIFEST}: {name[:80]!r} is not a plain file name")
    data = _read(folder / name)
    found = sha256(data).hexdigest()
    if found != entry.sha256:
        raise BadOption(f"{folder / name}: sha256 is {found[:12]}…, the manifest says {entry.sha256[:12]}…")
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadOption(f"{path}: {error.strerror or error}") from error
