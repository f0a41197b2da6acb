"""A whole sealed bundle: the server's test model with the files that packaging reads besides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ci.files import sha256
from tests.unit.serving import bundles

if TYPE_CHECKING:
    from pathlib import Path

LINEAGE: dict[str, Any] = {
    "project": "flights",
    "data": {"version": "d" * 64, "as_of": "2013-07-01", "rows": 10, "contract": "c" * 64, "watermark": "2013-06-30"},
    "params": "e" * 64,
    "code": {"pipeline": "f" * 64, "project": "0" * 64},
    "packages": {},
    "training": {"estimator": "HistGradientBoostingClassifier", "rows": 10},
}


def write(folder: Path, **changed: Any) -> Path:
    """Write a bundle and seal it; `changed` replaces whole documents, such as `lineage`."""
    bundles.write(folder)
    documents = {"lineage": LINEAGE, "evaluation": {"task": "binary", "metrics": {}, "model_sha256": ""}} | changed
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    (folder / "MODEL_CARD.md").write_text("# Flights\n")
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    """Write the manifest anew."""
    files = {
        path.name: {"sha256": sha256(path), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 1, "files": files}))
