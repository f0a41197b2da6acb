"""What a workspace holds, as far as it can be read: bundles with their ledgers, and the reports of its steps."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import floors
from ci.adapters.git import same_since
from ci.delivery import Bundled, changed
from ci.errors import BadInput
from ci.model import bundle
from ci.project import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.report import Result
    from ci.shared import Shared

SERVER = ("serving", "templates/serving", "templates/embedded", "requirements-serving.lock")
SERVICE = ("templates/collector", "requirements-collector.lock")  # its code lies in its bundle
_LIMIT = 16 << 20  # bytes of a report


def look(shared: Shared) -> Result:
    """
    Hold each bundle in artifacts/, and each service that params.yaml names, against its ledger.

    Raises:
        BadInput: a project has no bundle, a service no code, or a ledger cannot be trusted.
        Unavailable: the ledger's remote does not answer.
    """
    first = shared.environments[0].name if shared.environments else None
    ledger = floors.ledger(shared)
    digests: dict[str, tuple[str, Sequence[str]]] = {
        name: (bundle.digest(_folder(name)), SERVER) for name in shared.projects
    }
    digests |= {name: (_service(), SERVICE) for name in shared.services.named}
    found = [
        Bundled(name, digest, ledger.history(name).trusted(), sources) for name, (digest, sources) in digests.items()
    ]  # fmt: skip
    return changed(found, first, cache(lambda commit, sources: commit is not None and same_since(commit, sources)))


def _service() -> str:
    """Return the digest of the bundle that `steps.package` would make of the collection service; nothing is kept."""
    from ci.adapters import services

    with tempfile.TemporaryDirectory(prefix="slipway-bundle-") as folder:
        return services.made(Path(folder, "bundle")).digest


def _folder(name: str) -> Path:
    folder = find(name).path("artifacts")
    if not (folder / bundle.MANIFEST).is_file():
        raise BadInput(f"{folder}: no bundle yet", hint=f"python -m steps.repro --project {name}")
    return folder


def reports(projects: Sequence[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Read the reports of each project, with its bundle's lineage as `artifact`, and those about all; skip what is unreadable."""
    found = {name: _below(Path("reports", name)) for name in projects}
    for name in [name for name, steps in found.items() if steps]:
        if lineage := _read(Path("artifacts", name, bundle.LINEAGE)):
            found[name]["artifact"] = lineage
    return found, _below(Path("reports", "all"))


def _below(folder: Path) -> dict[str, Any]:
    return {path.stem: document for path in sorted(folder.glob("*.json")) if (document := _read(path))}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _LIMIT:
            return None
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
