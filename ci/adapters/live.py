"""The door to the champion: the bundle of the release that is live in the last environment, as the ledger says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import registry
from ci.adapters.floors import ledger
from ci.adapters.refs import has_head
from ci.errors import BadInput
from ci.model.bundle import MANIFEST
from ci.packaging import data

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.ledger.interface import Ledger
    from ci.packaging.interface import Registry
    from ci.releases.record import Release
    from ci.shared import Shared

_KEPT = Path(".slipway", "champions")


@dataclass(frozen=True)
class LedgerChampion:
    """Finds the live release's bundle: in the registry by digest, else through DVC by the release's tag."""

    ledger: Ledger
    environment: str
    open_registry: Callable[[], Registry]

    @property
    def where(self) -> str:
        """The last environment."""
        return f"in {self.environment}"

    def live(self, project: str) -> str | None:
        """Return the name of what is live, or None."""
        event = self.ledger.history(project).trusted().live(self.environment)
        return event.name if event else None

    def released(self, project: str, name: str) -> Path | None:
        """Return the bundle of a release by name, out of the registry; DVC may have what that has not."""
        if not name.startswith(f"{project}@v"):
            return None
        release = self.ledger.history(project).trusted().release(name.removeprefix(f"{project}@v"))
        return self._pulled(release) if release else None

    def _pulled(self, release: Release) -> Path | None:
        packaged = release.packagings.get("data")
        if packaged is None:
            return None
        folder = _KEPT / release.project / release.bundle
        if not (folder / MANIFEST).is_file():
            try:
                opened = self.open_registry()
                if opened.resolve(packaged.repository, packaged.digest) is None:
                    return None
                got = data.pull(opened, packaged.repository, packaged.digest, folder)
            except BadInput:  # not there, altered, or without a password here (a fork's build): DVC may have it
                return None
            if got != release.bundle:
                raise BadInput(
                    f"{release.name}: the registry's bundle is {got[:12]}, its record says {release.bundle[:12]}"
                )
        return folder


def champion_of(shared: Shared) -> LedgerChampion | None:
    """Return who knows the champion; None where there is no ledger: no repository, or no environments."""
    if not shared.environments or not has_head():
        return None
    last = shared.environments[-1].name
    return LedgerChampion(ledger(shared), last, lambda: registry.found(shared.registry))
