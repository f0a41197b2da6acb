"""
The same image, whenever it was built: its configuration, written anew without the time of day.

A classic builder stamps images with the moment of their build, so equal layers get different ids. An image is its
configuration and its layers; here the configuration is spelled from what matters, and loaded over the same layers, which
the engine has and which therefore need not travel. (docs/adr/0019)
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.packaging import tars

if TYPE_CHECKING:
    from ci.packaging.engine import Engine, Found

_KEPT = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal", "User", "WorkingDir")


def redate(engine: Engine, built: Found, tag: str, epoch: int) -> Found:
    """Give a built image the id that its contents deserve, and `tag`; `epoch` in seconds since 1970."""
    config = configuration(built, epoch)
    identity = hashlib.sha256(config).hexdigest()
    if engine.image(f"sha256:{identity}") is None or engine.image(tag) != engine.image(f"sha256:{identity}"):
        engine.load(_archive(config, identity, tag, len(built.layers)))
    found = engine.image(f"sha256:{identity}")
    assert found is not None, "the engine has just taken it"  # noqa: S101
    return found


def configuration(built: Found, epoch: int) -> bytes:
    """Spell an image's configuration: what it runs, what it consists of, and a time that is given."""
    created = f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"
    document = {
        "architecture": built.architecture,
        "os": "linux",
        "created": created,
        "config": {name: built.config[name] for name in _KEPT if built.config.get(name)},
        "history": [{"created": created, "created_by": f"layer {place}"} for place, _ in enumerate(built.layers, 1)],
        "rootfs": {"type": "layers", "diff_ids": list(built.layers)},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _archive(config: bytes, identity: str, tag: str, layers: int) -> io.BytesIO:
    names = [f"layer-{place}.tar" for place in range(layers)]  # not in it: the engine knows them by their digests
    manifest = [{"Config": f"{identity}.json", "RepoTags": [tag], "Layers": names}]
    files: dict[str, tars.Contents] = {f"{identity}.json": config, "manifest.json": json.dumps(manifest).encode()}
    return io.BytesIO(tars.pack(files, 0))
