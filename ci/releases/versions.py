"""
Which version a release should have: what callers notice is major, another model is minor, newer data alone a patch.

Compared are two bundles by what they say of themselves: digests, signature and lineage (docs/reference/bundle.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIRST = "1.0.0"
# What callers see of an input or output; descriptions, examples and quantiles they do not rely on.
_RELIED_ON = (
    "name",
    "type",
    "nullable",
    "minimum",
    "maximum",
    "categories",
    "max_length",
    "unknown",
    "unit",
    "classes",
)


@dataclass(frozen=True, slots=True)
class Described:
    """What decides about a version: digests of bundle and recipe in hex, the bundle's signature and lineage."""

    bundle: str
    recipe: str
    signature: Mapping[str, Any]
    lineage: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version and a sentence that says why; `same` where nothing changed and the release exists already."""

    version: str
    why: str
    same: bool = False


def propose(new: Described, former: Described | None, version: str | None = None) -> Proposal:
    """
    Propose the version of a release that follows `former`, which is `version`.

    Raises:
        BadInput: `version` is none.
    """
    if former is None or version is None:
        return Proposal(FIRST, "the first release")
    major, minor, patch = _numbers(version)
    if new.bundle == former.bundle and new.recipe == former.recipe:
        return Proposal(version, f"nothing changed since {version}: it is the same release", same=True)
    if seen := list(_noticed(former.signature, new.signature)):
        return Proposal(f"{major + 1}.0.0", f"major: callers notice: {_listed(seen)}")
    if changed := list(_changed(former, new)):
        return Proposal(f"{major}.{minor + 1}.0", f"minor: changed without callers noticing: {_listed(changed)}")
    if new.bundle == former.bundle:
        return Proposal(
            f"{major}.{minor}.{patch + 1}", "patch: the same bundle, packaged with other dependencies or server"
        )
    if _data(new) != _data(former):
        words = f"{_data(former)[:12]} became {_data(new)[:12]}"
        return Proposal(f"{major}.{minor}.{patch + 1}", f"patch: only the data changed: {words}")
    return Proposal(
        f"{major}.{minor}.{patch + 1}", "patch: the same inputs gave another bundle: only what describes it changed"
    )


def _noticed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what callers notice."""
    found = [
        f"{name} is {new.get(name)}, was {old.get(name)}"
        for name in ("project", "task")
        if old.get(name) != new.get(name)
    ]
    if _relied(old.get("output") or {}) != _relied(new.get("output") or {}):
        found.append("the output")
    before, after = ({item["name"]: _relied(item) for item in side.get("inputs", [])} for side in (old, new))
    found += [f"input {name} is new" for name in after if name not in before]
    found += [f"input {name} is gone" for name in before if name not in after]
    for name in before:
        if name in after and before[name] != after[name]:
            keys = sorted(key for key in _RELIED_ON if before[name].get(key) != after[name].get(key))
            found.append(f"input {name}: {', '.join(keys)}")
    return found


def _relied(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts; absent and null are the same (docs/reference/bundle.md)."""
    return {key: item[key] for key in _RELIED_ON if item.get(key) is not None}


def _changed(old: Described, new: Described) -> list[str]:
    """Name what changed in how the model is made, beside its data."""
    before, after = old.lineage, new.lineage
    key = "settings" if "settings" in before and "settings" in after else "params"  # params hold as_of, too
    found = ["params"] if before.get(key) != after.get(key) else []
    code = (before.get("code") or {}), (after.get("code") or {})
    found += [
        f"code of the {name}"
        for name in sorted(code[0].keys() | code[1].keys())
        if code[0].get(name) != code[1].get(name)
    ]
    packages = (before.get("packages") or {}), (after.get("packages") or {})
    names = sorted(packages[0].keys() | packages[1].keys())
    return found + [
        f"{name} {packages[1].get(name)}" for name in names if packages[0].get(name) != packages[1].get(name)
    ]


def _data(described: Described) -> str:
    return str((described.lineage.get("data") or {}).get("version"))


def _numbers(version: str) -> tuple[int, int, int]:
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise BadInput(f"{version[:40]!r}: not a version such as 1.4.0")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
