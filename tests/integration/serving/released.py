"""Releases of test bundles in a registry: pushed, signed, and moved under a tag, as `steps.package` would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ci.packaging import data, evidence
from ci.packaging.provenance import Made
from ci.packaging.signing import Signer

if TYPE_CHECKING:
    from pathlib import Path

    from ci.packaging.interface import Registry
    from ci.releases.record import Packaged

LINEAGE: dict[str, Any] = {"data": {"version": "d" * 64}, "params": "e" * 64, "code": {"project": "f" * 64}}


@dataclass
class Shelf:
    """One repository with a key; `uri` is what servers are told."""

    registry: Registry
    uri: str
    repository: str = "slipway/flights"
    signer: Signer = field(default_factory=lambda: Signer(Ed25519PrivateKey.generate()))

    def push(self, folder: Path, *tags: str) -> Packaged:
        return data.push(self.registry, self.repository, folder, tags)

    def sign(self, packaged: Packaged, bundle: str, version: str = "1.0.0", signer: Signer | None = None) -> None:
        made = Made("flights", version, bundle, "a" * 64, LINEAGE)
        sbom = b'{"bomFormat":"CycloneDX"}'
        evidence.publish(self.registry, {"data": packaged}, made, sbom, signer or self.signer)

    def tag(self, packaged: Packaged, name: str = "live") -> None:
        self.registry.copy(self.repository, self.repository, packaged.digest, [name])

    def key_file(self, folder: Path) -> str:
        path = folder / "trusted.pub"
        path.write_bytes(self.signer.public.pem)
        return str(path)
