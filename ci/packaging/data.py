"""
The data packaging: a bundle as an artifact in a registry, one layer per file, for servers that swap models while running.

The same bundle gives the same manifest and digest. Layers carry their file's name as a title, so that other tools can
pull them (ORAS does).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import replacing_folder, said_plainly
from ci.model.bundle import MANIFEST as SEAL
from ci.packaging.interface import BUNDLE, MANIFEST
from ci.packaging.oci import EMPTY_BLOB, TITLE, artifact, descriptor, parts
from ci.releases.record import Packaged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.packaging.interface import Registry

DIGEST_NOTE, PROJECT_NOTE = "vnd.slipway.bundle.digest", "vnd.slipway.project"
LIMIT = 2 << 30  # bytes of a bundle; more is not a model that a server swaps while it answers
_MOST_FILES = 64
_TYPES = {".json": "application/json", ".md": "text/markdown", ".onnx": "application/vnd.slipway.model.v1+onnx"}


def push(registry: Registry, repository: str, folder: Path, tags: Sequence[str] = ()) -> Packaged:
    """
    Push a sealed bundle; the same bundle again changes nothing.

    Raises:
        BadInput: the folder is not a sealed bundle, or the registry refuses it.
        Unavailable: the registry does not answer.
    """
    files = _sealed(folder)
    seal = files[SEAL]
    registry.push_blob(repository, EMPTY_BLOB)
    for data in files.values():
        registry.push_blob(repository, data)
    layers = [_layer(name, data) for name, data in sorted(files.items())]
    notes = {DIGEST_NOTE: hashlib.sha256(seal).hexdigest(), PROJECT_NOTE: _project(folder, files)}
    raw = artifact(BUNDLE, layers, notes)
    digest = registry.push_manifest(repository, raw, MANIFEST, tags)
    return Packaged(repository=repository, digest=digest, size=parts(raw, digest).size)


def pull(registry: Registry, repository: str, digest: str, target: Path, limit: int = LIMIT) -> str:
    """
    Put a bundle into `target`, whole and checked, or leave `target` as it was; return the bundle's digest (hex).

    Raises:
        BadInput: it is no bundle, larger than `limit` bytes, or its files are not those of its seal.
        Unavailable: the registry does not answer.
    """
    what = f"{registry.place}: {repository}@{digest[:19]}…"
    layers = _layers(registry.pull_manifest(repository, digest).raw, what, limit)
    with replacing_folder(target) as beside:
        for name, item in layers.items():
            registry.save_blob(repository, item["digest"], beside / name, item["size"])
        files = {path.name: "sha256:" + _sha256(path) for path in beside.iterdir()}
        _held((beside / SEAL).read_bytes(), files, what)
        return files[SEAL].removeprefix("sha256:")


def _layers(raw: bytes, what: str, limit: int) -> dict[str, Mapping[str, Any]]:
    """Read which files a manifest names."""
    found = parts(raw, what)
    if found.artifact_type != BUNDLE:
        raise BadInput(f"{what}: is {found.artifact_type or 'no artifact'}, not a model bundle")
    if found.size > limit:
        raise BadInput(f"{what}: {found.size:,} bytes, more than the {limit:,} allowed")
    layers = found.document.get("layers", [])
    notes = [item.get("annotations") for item in layers]
    titles = [str(note.get(TITLE, "")) if isinstance(note, dict) else "" for note in notes]
    for title in titles:
        if not title or Path(title).name != title or title.startswith(".") or titles.count(title) > 1:
            raise BadInput(f"{what}: {title!r} is not the name of one plain file")
    if SEAL not in titles or len(titles) > _MOST_FILES:
        raise BadInput(f"{what}: {len(titles)} files, {SEAL} {'among' if SEAL in titles else 'not among'} them")
    return dict(zip(titles, layers, strict=True))


def _sealed(folder: Path) -> dict[str, bytes]:
    """Read a bundle whole: what is hashed here is what goes up."""
    if not (folder / SEAL).is_file():
        raise BadInput(f"{folder}: not a bundle, it has no {SEAL}", hint="steps.bundle makes one")
    with said_plainly(folder):
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    _held(
        files[SEAL], {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in files.items()}, str(folder)
    )
    return files


def _held(seal: bytes, files: Mapping[str, str], what: str) -> None:
    """Hold files to the seal: all that it lists with the digests that it says, and nothing else."""
    try:
        listed = {str(name): f"sha256:{item['sha256']}" for name, item in json.loads(seal)["files"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"{what}: {SEAL} is not a seal ({error})") from error
    present = {name: digest for name, digest in files.items() if name != SEAL}
    for name in sorted(present.keys() ^ listed.keys()):
        raise BadInput(f"{what}: {name}: {'not in the manifest' if name in present else 'missing'}")
    for name, digest in listed.items():
        if present[name] != digest:
            raise BadInput(f"{what}: {name}: is {present[name][:19]}…, the seal says {digest[:19]}…")


def _layer(name: str, data: bytes) -> dict[str, Any]:
    kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
    return descriptor(kind, data, annotations={TITLE: name})


def _project(folder: Path, files: Mapping[str, bytes]) -> str:
    try:
        return str(json.loads(files["signature.json"])["project"])
    except (ValueError, LookupError, TypeError) as error:
        raise BadInput(f"{folder}: signature.json does not name its project") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
