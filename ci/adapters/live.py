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
        """Return a folder with its bundle, or its tag, or None if nothing is live."""
        history = self.ledger.history(project).trusted()
        event = history.live(self.environment)
        release = history.release(event.version) if event else None
        if release is None:
            return None
        return self._pulled(release) or release.name

    def _pulled(self, release: Release) -> str | None:
        packaged = release.packagings.get("data")
        if packaged is None:
            return None
        folder = _KEPT / release.project / release.bundle
        if not (folder / MANIFEST).is_file():
            opened = self.open_registry()
            try:
                if opened.resolve(packaged.repository, packaged.digest) is None:
                    return None
                got = data.pull(opened, packaged.repository, packaged.digest, folder)
            except BadInput:  # not there, or altered: DVC may have it
                return None
            if got != release.bundle:
                raise BadInput(
                    f"{release.name}: the registry's bundle is {got[:12]}, its record says {release.bundle[:12]}"
                )
        return str(folder)


def champion_of(shared: Shared) -> LedgerChampion | None:
    """Return who knows the champion; None where there is no ledger: no repository, or no environments."""
    if not shared.environments or not has_head():
        return None
    last = shared.environments[-1].name
    return LedgerChampion(ledger(shared), last, lambda: registry.found(shared.registry))
