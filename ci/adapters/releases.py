"""Releases by version, and the golden rows of their bundles."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import registry
from ci.errors import BadInput
from ci.files import read_json
from ci.model import bundle
from ci.packaging import data
from ci.params import SERVICES

if TYPE_CHECKING:
    from ci.ledger.interface import Ledger
    from ci.releases.record import Release
    from ci.shared import Shared


def release_of(ledger: Ledger, project: str, version: str | None) -> Release:
    """
    Return a release by version, or the newest one.

    Raises:
        BadInput: there is none.
    """
    if project in SERVICES:
        raise BadInput(
            f"{project}: is a service, which has no golden rows", hint="steps.package puts it to its smoke test"
        )
    history = ledger.history(project)
    versions = sorted(history.versions(), key=lambda item: tuple(int(part) for part in item.split(".")))
    wanted = version or (versions[-1] if versions else None)
    found = history.release(wanted) if wanted else None
    if found is None:
        raise BadInput(f"{project}{f'@v{wanted}' if wanted else ''}: no such release", hint=f"python -m steps.package --project {project}")  # fmt: skip
    return found


def golden_of(shared: Shared, release: Release, folder: Path) -> Any:
    """
    Return a release's golden rows: from the bundle in a folder if it is the one, else from the registry.

    Raises:
        BadInput: neither has it.
    """
    if (folder / bundle.MANIFEST).is_file() and bundle.digest(folder) == release.bundle:
        return read_json(folder / bundle.GOLDEN)
    packaged = release.packagings.get("data")
    if packaged is None:
        raise BadInput(f"{folder}: is not the bundle of {release.name}, which was not released as data either")
    with tempfile.TemporaryDirectory(prefix="slipway-ask-") as found:
        data.pull(registry.found(shared.registry), packaged.repository, packaged.digest, Path(found) / "bundle")
        return read_json(Path(found) / "bundle" / bundle.GOLDEN)
