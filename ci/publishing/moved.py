"""
What a published commit changes: `as_of` and `source` of one project's params, and its data stages in dvc.lock.

Nothing else of a working tree gets out this way: other keys, other projects and half-done training stay where they are.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.yaml import mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGES = ("ingest", "check_data", "prepare")
MOVES = ("as_of", "source")


def stages_of(project: str) -> list[str]:
    """Name a project's data stages as dvc.yaml does."""
    return [f"{stage}@{project}" for stage in STAGES]


def lock_of(base: bytes | None, ours: bytes, project: str) -> bytes:
    """
    Return the dvc.lock of `base` with one project's data stages as they are in `ours`.

    Raises:
        BadInput: one of the two is no dvc.lock, or ours knows nothing of the project.
    """
    document: dict[str, Any] = mapping(base, "dvc.lock of the branch") if base else {"schema": "2.0", "stages": {}}
    found = mapping(ours, "dvc.lock").get("stages", {})
    missing = [name for name in stages_of(project) if name not in found]
    if missing:
        raise BadInput(f"dvc.lock: knows no {missing[0]}", hint=_again(project))
    stages = document.setdefault("stages", {})
    stages.update({name: found[name] for name in stages_of(project)})
    return _spelled(document)


def raw_of(lock: bytes, project: str) -> str:
    """
    Return DVC's digest of a project's raw data.

    Raises:
        BadInput: dvc.lock does not name it.
    """
    for out in _stage(lock, f"ingest@{project}").get("outs", []):
        if out.get("path") == f"data/{project}/raw":
            return str(out.get("md5", ""))
    raise BadInput(f"dvc.lock: ingest@{project} has no data/{project}/raw", hint=_again(project))


def sources_of(lock: bytes, project: str) -> list[str]:
    """List the files of the repository from which the data stages make what they make."""
    paths = {str(dep.get("path")) for name in stages_of(project) for dep in _stage(lock, name).get("deps", [])}
    return sorted(path for path in paths if not path.startswith("data/"))


def unlike(base: bytes, ours: bytes, where: str) -> list[str]:
    """
    Name the keys in which two versions of a project's params differ, apart from what a publication moves.

    Raises:
        BadInput: one of them is not YAML.
    """
    one, other = mapping(base, where), mapping(ours, where)
    keys = sorted({*one, *other} - set(MOVES))
    return [key for key in keys if one.get(key) != other.get(key)]


def _stage(lock: bytes, name: str) -> dict[str, Any]:
    stage = mapping(lock, "dvc.lock").get("stages", {}).get(name)
    if not isinstance(stage, dict):
        raise BadInput(f"dvc.lock: knows no {name}", hint=_again(name.partition("@")[2]))
    return stage


def _spelled(document: Any) -> bytes:
    """Spell it as DVC does, so that the next `dvc repro` changes no line for nothing."""
    from ruamel.yaml import YAML

    yaml, out = YAML(), io.BytesIO()
    yaml.default_flow_style = False
    yaml.dump(document, out)
    return out.getvalue()


def _again(project: str) -> str:
    return f"python -m steps.repro --project {project} --only data"


__all__: Sequence[str] = ("lock_of", "raw_of", "sources_of", "stages_of", "unlike")
