"""
The bundle of the collection service: its code, the contracts of all projects, and what the smoke test sends.

Sealed as a model's bundle is, and everything that a release of it runs comes from there, so that a rollback brings the
former code back with the former contracts. There is no commit and no clock in it: equal code and contracts are one release.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import read_json, replacing_folder, sha256, sha256_of, write_bytes, write_json
from ci.model.bundle import GOLDEN, LINEAGE, MANIFEST, SIGNATURE, digest, manifest
from ci.model.bundles import verify
from ci.params import COLLECTOR
from ci.services import CODE
from ci.services.golden import golden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKAGES = (Path("collector"), Path("serving"))
EPOCH_DAY = "2024-01-01"  # of what has no date of its own, as in images
_TIME = (2024, 1, 1, 0, 0, 0)
_RELIED_ON = ("type", "role", "nullable", "minimum", "maximum", "categories", "unknown", "max_length", "sensitive")


def make(contracts: Sequence[Mapping[str, Any]], target: Path, root: Path = Path()) -> None:
    """
    Write the bundle of a collection service that takes these contracts; code is taken from below `root`.

    Raises:
        BadInput: no contract, or no code.
    """
    if not contracts:
        raise BadInput("params.yaml: projects: no project has a contract for the collection service")
    ordered = sorted(contracts, key=lambda item: str(item["project"]))
    with replacing_folder(target) as beside:
        for contract in ordered:
            text = json.dumps(contract, indent=1, ensure_ascii=False) + "\n"  # columns in the contract's own order
            write_bytes(beside / f"contract.{contract['project']}.json", text.encode())
        write_bytes(beside / CODE, zipped(root))
        write_json(beside / SIGNATURE, _signature(ordered))
        write_json(beside / GOLDEN, golden(ordered))
        write_json(beside / LINEAGE, _lineage(ordered, sha256(beside / CODE)))
        write_json(beside / MANIFEST, {**manifest(beside), "kind": COLLECTOR})


def zipped(root: Path) -> bytes:
    """
    Return the code as Python imports it from one file: names in order, one time, nothing compressed.

    Raises:
        BadInput: a package is not there.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for package in PACKAGES:
            found = sorted(path for path in (root / package).rglob("*.py") if path.is_file())
            if not found:
                raise BadInput(f"{root / package}: no code", hint="steps run from the root of the checkout")
            for path in found:
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _TIME)
                entry.external_attr, entry.create_system = 0o100644 << 16, 3
                archive.writestr(entry, path.read_bytes())
    return out.getvalue()


class ServiceBundle:
    """A sealed bundle of the collection service; satisfies `ci.releasing.Sealed`."""

    def __init__(self, folder: Path) -> None:
        """
        Open it and verify the digest of every file.

        Raises:
            BadInput: no bundle, altered, or the bundle of a model.
        """
        if not (folder / MANIFEST).is_file():
            raise BadInput(f"{folder}: not a bundle, it has no {MANIFEST}",
                           hint=f"without --bundle, steps.package --project {COLLECTOR} makes one")  # fmt: skip
        verify(folder)
        if (kind := read_json(folder / MANIFEST).get("kind", "model")) != COLLECTOR:
            raise BadInput(f"{folder}: is the bundle of a {str(kind)[:40]}, not of the {COLLECTOR}")
        self.folder, self.digest = folder, digest(folder)
        self.signature: dict[str, Any] = read_json(folder / SIGNATURE)
        self.lineage: dict[str, Any] = read_json(folder / LINEAGE)
        self.golden: dict[str, Any] = read_json(folder / GOLDEN)


def _signature(contracts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say what senders rely on, in the words of a model's signature: versions are proposed by comparing these."""
    inputs = [
        {"name": f"{contract['project']}.{name}", **{key: column.get(key) for key in _RELIED_ON}}
        for contract in contracts
        for name, column in contract["columns"].items()
    ]
    return {"schema_version": 1, "project": COLLECTOR, "task": "collect", "inputs": inputs, "output": {}}


def _lineage(contracts: Sequence[Mapping[str, Any]], code: str) -> dict[str, Any]:
    digests = {str(contract["project"]): str(contract["digest"]) for contract in contracts}
    data = {"version": sha256_of(digests), "as_of": EPOCH_DAY, "contracts": digests}
    settings = sha256_of([{**contract, "columns": None, "digest": None} for contract in contracts])
    return {"schema_version": 1, "project": COLLECTOR, "data": data, "params": settings, "settings": settings,
            "code": {COLLECTOR: code}, "packages": {}}  # fmt: skip
