"""
Where bundles come from: an address in, the files of a bundle out.

A folder is known here; what fetches from a registry is `serving.oci`, which is only imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from serving.errors import BadOption, BundleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.settings import Settings

# Anything that can change when an address gets another bundle; compared by polling, so it must be cheap.
Fingerprint = tuple[object, ...]


class Located(msgspec.Struct, frozen=True):
    """The files of a bundle, in a folder or in memory, and the release's version where the source vouches for it."""

    files: Path | Mapping[str, bytes]
    version: str | None = None


class Source(Protocol):
    """One address."""

    def locate(self) -> Located:
        """
        Make what lies there available.

        Raises:
            BundleError: it cannot be had, or must not be trusted.
        """

    def fingerprint(self) -> Fingerprint:
        """Return a cheap mark of what lies there now; raises as `locate` does."""


class Folder:
    """A folder, or a link to one."""

    def __init__(self, uri: str, _settings: Settings | None = None) -> None:
        self._uri = uri
        self._path = Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri)

    def locate(self) -> Located:
        """Follow links, once: a link that moves while files are read cannot mix two bundles."""
        return Located(self._folder())

    def fingerprint(self) -> Fingerprint:
        """Return the folder behind any links, and each file's size and time."""
        folder = self._folder()
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
        return (folder, *((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found))

    def _folder(self) -> Path:
        try:
            folder = self._path.resolve(strict=True)
        except OSError as error:
            raise BundleError("unreachable", f"{self._uri}: {error.strerror or error}") from error
        if not folder.is_dir():
            raise BundleError("unreachable", f"{self._uri}: not a folder")
        return folder


def source(settings: Settings) -> Source:
    """
    Open the address that `--model` names, without looking at what is there.

    Raises:
        BadOption: no such scheme, or not enough to go by.
    """
    uri = settings.model
    scheme = urlsplit(uri).scheme if "://" in uri else "file"
    if scheme not in SCHEMES:
        raise BadOption(f"--model: {uri}: cannot fetch {scheme}://, only {', '.join(sorted(SCHEMES))}://")
    return SCHEMES[scheme](uri, settings)


def _registered(uri: str, settings: Settings) -> Source:
    from serving.oci import Registered  # signatures and HTTPS take a while to import

    return Registered(uri, settings)


SCHEMES: dict[str, Callable[[str, Settings], Source]] = {
    "file": Folder,
    "oci": _registered,
    "oci+http": _registered,
    "oci-layout": _registered,
}
