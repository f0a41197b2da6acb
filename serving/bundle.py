"""
A bundle on disk or in memory, read once and believed only as far as its digests go.

Every file that the manifest names is read whole and hashed, and what is parsed later are those same bytes: nothing can
change between the check and the use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from serving import lineage
from serving import signature as signatures
from serving.errors import BundleError
from serving.signature import Signature

MANIFEST = "manifest.json"
_NEEDED = ("model.onnx", "signature.json", "golden.json")
T = TypeVar("T")
Files = Path | Mapping[str, bytes]


class Entry(msgspec.Struct, frozen=True):
    """What the manifest says about one file."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`: sha256 and size of each other file."""

    schema_version: Literal[1]
    files: dict[str, Entry]


class Golden(msgspec.Struct, frozen=True):
    """`golden.json`: raw rows, and what the model answered when it was built."""

    schema_version: Literal[1]
    tolerance: float
    rows: list[dict[str, Any]]
    outputs: list[float | list[float]]


class Bundle(msgspec.Struct, frozen=True):
    """A verified bundle; `digest` is the sha256 of its manifest, in hex, `watermark` seconds since 1970, if it says so."""

    digest: str
    signature: Signature
    golden: Golden
    graph: bytes
    watermark: float | None = None


def read(folder: Files) -> Bundle:
    """
    Read and verify the bundle in a folder, or in memory.

    Raises:
        BundleError: naming the file that is missing, altered or malformed.
    """
    raw = _bytes(folder, MANIFEST)
    manifest = _decode(MANIFEST, raw, Manifest)
    for name in _NEEDED:
        if name not in manifest.files:
            raise BundleError("missing", f"{name}: not in {MANIFEST}")
    files = {name: _verified(folder, name, entry) for name, entry in manifest.files.items()}
    golden = _decode("golden.json", files["golden.json"], Golden)
    if not golden.rows or len(golden.rows) != len(golden.outputs):
        raise BundleError("format", f"golden.json: {len(golden.rows)} rows and {len(golden.outputs)} outputs")
    return Bundle(
        digest=hashlib.sha256(raw).hexdigest(),
        signature=signatures.parse(files["signature.json"]),
        golden=golden,
        graph=files["model.onnx"],
        watermark=lineage.watermark(files.get(lineage.NAME)),
    )


def _verified(folder: Files, name: str, entry: Entry) -> bytes:
    if Path(name).name != name:
        raise BundleError("format", f"{MANIFEST}: {name!r} is not a plain file name")
    raw = _bytes(folder, name)
    if len(raw) != entry.size:
        raise BundleError("digest", f"{name}: {len(raw)} bytes, the manifest says {entry.size}")
    found = hashlib.sha256(raw).hexdigest()
    if found != entry.sha256:
        raise BundleError("digest", f"{name}: sha256 {found[:12]}…, the manifest says {entry.sha256[:12]}…")
    return raw


def _bytes(folder: Files, name: str) -> bytes:
    if not isinstance(folder, Path):
        if name not in folder:
            raise BundleError("missing", f"{name}: not in the artifact")
        return folder[name]
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleError("missing", f"{name}: {error.strerror or error} in {folder}") from error


def _decode(name: str, raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError("format", f"{name}: {error}") from error
