"""Which release answers: name, version, bundle."""

from __future__ import annotations

import msgspec


class Release(msgspec.Struct, frozen=True):
    """Name and version of a release, and the digest of the bundle in it."""

    name: str
    version: str
    digest: str

    @classmethod
    def of(cls, name: str, digest: str, version: str | None) -> Release:
        """Name a release; a bundle without a version goes by its digest."""
        return cls(name, version or digest[:12], digest)

    @property
    def short(self) -> str:
        """The bundle digest as people see it."""
        return f"sha256:{self.digest[:12]}"

    @property
    def header(self) -> bytes:
        """The value of `X-Slipway-Release`."""
        return f"{self}; bundle={self.short}".encode()

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"
