"""
Images between an engine and an OCI image layout, where there is no registry that the engine could push to.

An archive as `docker save` writes it holds the configuration and each layer as a tar file; here they become blobs, and
blobs an archive again. The configuration's digest, which is the image's id, is the same on both sides.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.packaging.interface import MANIFEST
from ci.packaging.oci import digest_of, parts, spell
from ci.releases.record import Packaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.packaging.engine import Engine
    from ci.packaging.interface import Registry

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_LIMIT = 8 << 30  # bytes of one layer


def store(engine: Engine, image_id: str, registry: Registry, repository: str) -> Packaged:
    """
    Put an image into a registry blob by blob.

    Raises:
        BadInput: the engine wrote another image than it was asked for.
        Unavailable: engine or registry do not answer.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder, tempfile.TemporaryFile(dir=folder) as saved:
        engine.save(image_id, saved)
        saved.seek(0)
        config, layers = _opened(saved, Path(folder), image_id)
        described = [_pushed(registry, repository, path, path.stat().st_size) for path in layers]
        registry.push_blob(repository, config)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": described,
    }
    raw = spell(document)
    digest = registry.push_manifest(repository, raw, MANIFEST)
    return Packaged(repository=repository, digest=digest, size=parts(raw, digest).size)


def fetch(registry: Registry, repository: str, digest: str, engine: Engine) -> str:
    """
    Load an image from a registry into an engine, blob by blob; return its id.

    Raises:
        BadInput: it is not there, no image, or altered.
        Unavailable: engine or registry do not answer.
    """
    what = f"{registry.place}: {repository}@{digest[:19]}…"
    document = parts(registry.pull_manifest(repository, digest).raw, what).document
    config = document.get("config") or {}
    if config.get("mediaType") != CONFIG or any(layer["mediaType"] != LAYER for layer in document["layers"]):
        raise BadInput(f"{what}: is no image that was stored here")
    identity = str(config["digest"])
    if engine.image(identity) is not None:
        return identity
    with tempfile.TemporaryFile() as out:
        _written(registry, repository, document, out)
        out.seek(0)
        engine.load(out)
    return identity


def _opened(saved: IO[bytes], folder: Path, image_id: str) -> tuple[bytes, list[Path]]:
    """Take an archive apart: the configuration, and the layers in order as files."""
    with tarfile.open(fileobj=saved) as archive:
        (described,) = json.loads(_read(archive, "manifest.json"))
        config = _read(archive, described["Config"])
        if digest_of(config) != image_id:
            raise BadInput(f"{image_id[:19]}…: the engine saved {digest_of(config)[:19]}… instead")
        layers = []
        for place, name in enumerate(described["Layers"]):
            layers.append(folder / f"{place}.tar")
            with layers[-1].open("wb") as out:
                _copy(archive, name, out)
    return config, layers


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    return found.read() if found else b""


def _copy(archive: tarfile.TarFile, name: str, out: IO[bytes]) -> None:
    import shutil

    found = archive.extractfile(name)
    if found is None:
        raise BadInput(f"{name}: is no file in the engine's archive")
    shutil.copyfileobj(found, out, 1 << 20)


def _pushed(registry: Registry, repository: str, layer: Path, size: int) -> dict[str, Any]:
    return {"mediaType": LAYER, "digest": registry.push_blob(repository, layer), "size": size}


def _written(registry: Registry, repository: str, document: Any, out: IO[bytes]) -> None:
    config = registry.pull_blob(repository, document["config"]["digest"], 4 << 20)
    names = [f"{layer['digest'].removeprefix('sha256:')}.tar" for layer in document["layers"]]
    manifest = [{"Config": "config.json", "RepoTags": None, "Layers": names}]
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder, tarfile.open(fileobj=out, mode="w") as archive:
        (Path(folder) / "config.json").write_bytes(config)
        (Path(folder) / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        for layer, name in zip(document["layers"], names, strict=True):
            registry.save_blob(repository, layer["digest"], Path(folder, name), min(layer["size"], _LIMIT))
        _added(archive, Path(folder), ["config.json", *names, "manifest.json"])


def _added(archive: tarfile.TarFile, folder: Path, names: Sequence[str]) -> None:
    for name in dict.fromkeys(names):
        archive.add(folder / name, name)
