"""What goes up, from memory or from a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ci.files import said_plainly
from ci.packaging.oci import digest_of

if TYPE_CHECKING:
    from pathlib import Path


def measured(data: bytes | Path) -> tuple[str, int]:
    """Return digest and size."""
    if isinstance(data, bytes):
        return digest_of(data), len(data)
    with said_plainly(data), data.open("rb") as source:
        return "sha256:" + hashlib.file_digest(source, "sha256").hexdigest(), source.tell()


def piece_of(data: bytes | Path, start: int, size: int) -> bytes:
    """Return `size` bytes from `start` on, or what is left of them."""
    if isinstance(data, bytes):
        return data[start : start + size]
    with said_plainly(data), data.open("rb") as source:
        source.seek(start)
        return source.read(size)
