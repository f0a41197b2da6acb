"""A folder that keeps what was fetched, by digest: a restart then needs the registry for the little that may change."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from serving.blobs import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 64  # files; the longest unused go first


class Cache:
    """Without a folder nothing is kept. A folder that cannot be written is one without anything in it."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    def get(self, digest: str, fetch: Callable[[], bytes]) -> bytes:
        """Return the bytes of a digest, from the folder if they are there and whole, else from `fetch`."""
        if self._folder is None:
            return fetch()
        path = self._folder / digest.removeprefix("sha256:")
        with contextlib.suppress(OSError):
            raw = path.read_bytes()
            if digest_of(raw) == digest:
                os.utime(path)
                return raw
        raw = fetch()
        with contextlib.suppress(OSError):
            self._keep(path, raw)
        return raw

    def _keep(self, path: Path, raw: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as beside:
                beside.write(raw)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        kept = sorted(path.parent.iterdir(), key=lambda item: item.stat().st_mtime, reverse=True)
        for old in kept[_MOST:]:
            old.unlink()
