"""The door to a release's signatures: the provenance beside each packaging in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters import registry
from ci.adapters.keys import trusted
from ci.packaging import evidence
from ci.packaging.signing import Refused

if TYPE_CHECKING:
    from ci.packaging.provenance import Statement
    from ci.releases.record import Release
    from ci.shared import Shared


@dataclass(frozen=True)
class RegistrySignatures:
    """Looks into the registry that params.yaml names, with the keys that it trusts."""

    shared: Shared

    def why_not(self, release: Release) -> str | None:
        """Say what speaks against a release's signatures; None if a trusted key vouches for every packaging."""
        keys = trusted(self.shared.signing)
        if release.key not in {key.fingerprint for key in keys}:
            return f"signed by a key that nobody trusts ({release.key[:12]})"
        opened = registry.found(self.shared.registry)
        try:
            for packaged in release.packagings.values():
                held = evidence.verify(opened, packaged.repository, packaged.digest, keys)
                if not any(_about(release, statement) for statement in held):
                    return f"what is signed of {packaged.digest[:19]}… is about another release"
        except Refused as error:
            return str(error)
        return None


def _about(release: Release, statement: Statement) -> bool:
    said = statement.parameters
    return (said.get("project"), said.get("version"), said.get("bundle")) == (
        release.project,
        release.version,
        release.bundle,
    )
