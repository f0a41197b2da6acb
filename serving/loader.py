"""
Where bundles come from: a URI in, a folder out.

A folder and `file://` are known today. A scheme that fetches (such as `oci://`) is one more function in `SCHEMES`: it
returns a folder of its own, so that the rest of the server never learns where a bundle came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from serving.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable

# Anything that can change when a folder gets another bundle; compared by polling, so it must be cheap.
Fingerprint = tuple[object, ...]


class Located(msgspec.Struct, frozen=True):
    """A bundle's folder and, where the source knows it, the version of the release that it is."""

    folder: Path
    version: str | None = None


def locate(uri: str) -> Located:
    """
    Make the bundle at a URI available as a folder.

    Raises:
        BundleError: reason `unreachable`.
    """
    scheme = urlsplit(uri).scheme if "://" in uri else "file"
    fetch = SCHEMES.get(scheme)
    if fetch is None:
        raise BundleError("unreachable", f"{uri}: cannot fetch {scheme}://, only {', '.join(sorted(SCHEMES))}://")
    return fetch(uri)


def fingerprint(uri: str) -> Fingerprint:
    """Cheap mark of what lies at a URI now: the folder behind any links, and each file's size and time."""
    folder = locate(uri).folder
    found = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return (folder, *((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found))


def _folder(uri: str) -> Located:
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri)
    try:
        # Links are followed once, here: a link that moves while files are read cannot mix two bundles.
        folder = path.resolve(strict=True)
    except OSError as error:
        raise BundleError("unreachable", f"{uri}: {error.strerror or error}") from error
    if not folder.is_dir():
        raise BundleError("unreachable", f"{uri}: not a folder")
    return Located(folder)


SCHEMES: dict[str, Callable[[str], Located]] = {"file": _folder}
