"""
Contract files for the collection service: all that it knows of a project.

They are drawn from `contract.yaml` and the project's source; the service refuses senders that know another digest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ci.contract import plain
from ci.files import sha256, sha256_of, write_text
from ci.report import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.contract import Column
    from ci.project import Project

_COLUMN = ("type", "role", "nullable", "minimum", "maximum", "categories", "unknown", "max_length", "sensitive")


def document(project: Project) -> dict[str, Any]:
    """Spell one project's contract for the service; docs/reference/collector.md says what each key means."""
    contract, source = project.contract, project.params.source
    return {
        "schema_version": 1,
        "project": project.name,
        "digest": sha256_of(plain(contract)),
        "event_time": contract.event_time,
        "keys": list(contract.keys),
        "cluster": contract.cluster,
        "target": contract.target,
        "label_horizon_days": contract.label_horizon_days,
        "period": source.period,
        "lateness_days": source.lateness_days,
        "columns": {name: _column(column) for name, column in contract.columns.items()},
    }


def _column(column: Column) -> dict[str, Any]:
    spelt = column.model_dump(mode="json")
    return {key: spelt.get(key) for key in _COLUMN}


def write(projects: Sequence[Project], folder: Path) -> Result:
    """
    Write a file for each project; what is there already and the same stays untouched.

    Raises:
        BadInput: a contract cannot be read, or the folder cannot be written.
    """
    documents = {
        folder / f"{project.name}.json": document(project) for project in projects
    }  # all, before any is written
    for file, spelt in documents.items():
        write_text(file, json.dumps(spelt, indent=2, ensure_ascii=False) + "\n")  # columns in the contract's order
    names = ", ".join(project.name for project in projects)
    return Result(
        f"contracts of {names} in {folder}",
        facts={project.name: documents[folder / f"{project.name}.json"]["digest"] for project in projects},
        outputs={str(file): sha256(file) for file in documents},
    )
