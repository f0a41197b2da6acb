"""The smallest image there is, an empty folder: containers of it are never started, they only hold a volume's files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

from ci.adapters.engine import LABEL

if TYPE_CHECKING:
    from ci.adapters.containers import Containers

TAG = "slipway/keeper:1"
FOLDER = "/state"


def image(engine: Containers) -> str:
    """Return the image's id; it is made here and loaded, so that no registry and no base image is needed."""
    found = engine.image(TAG)
    if found is not None:
        return found.id
    archive, identity = _archive(_layer())
    engine.load(io.BytesIO(archive))
    return identity


def _layer() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(FOLDER.lstrip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
    return out.getvalue()


def _archive(layer: bytes) -> tuple[bytes, str]:
    config = json.dumps(
        {
            "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["/never-started"], "Labels": {LABEL: "keeper"}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        },
        sort_keys=True,
    ).encode()  # fmt: skip
    identity = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{identity}.json", "RepoTags": [TAG], "Layers": ["layer.tar"]}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in ((f"{identity}.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue(), f"sha256:{identity}"
