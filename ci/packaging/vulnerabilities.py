"""
Known vulnerabilities of locked packages, from a copy of the OSV database on this machine; nothing is asked of a network.

The copy is what osv.dev publishes for an ecosystem: one JSON document per entry, in a folder or in one `all.zip`. After
ossf.github.io/osv-schema. Without a copy the answer is "not scanned", which is no pass.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from ci.errors import BadInput
from ci.files import said_plainly
from ci.report import Check, Found, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ci.packaging.locks import Locked

_ECOSYSTEM = "pypi"
_LIMIT = 8 << 20  # bytes of one entry
NAME = "known vulnerabilities"


@dataclass(frozen=True, slots=True)
class Known:
    """One entry of the database that a locked package falls under."""

    package: str
    version: str
    entry: str
    summary: str
    fixed: str


def look(database: Path | None, packages: Sequence[Locked]) -> tuple[Check, Table | None]:
    """
    Hold packages against the database; what is found is told, and stops nothing.

    Raises:
        BadInput: the database is missing, unreadable, or has no entry for Python packages at all.
    """
    if database is None:
        return Check(NAME, Found.SKIPPED, "not scanned: no database is configured"), None
    found: list[Known] = []
    n_entries = 0
    for document in _entries(database):
        matched = [item for item in _affected(document) if item]
        n_entries += bool(matched)
        found += [known for item in matched for known in _matches(document, item, packages)]
    if not n_entries:
        raise BadInput(f"{database}: no entry about Python packages", hint="it should hold OSV documents of PyPI")
    found.sort(key=lambda item: (item.package, item.entry))
    if not found:
        return Check(NAME, Found.PASSED, f"none of {n_entries:,} entries", 0, 0, n=len(packages)), None
    names = ", ".join(sorted({f"{item.package} {item.version}" for item in found}))
    rows = [[item.package, item.version, item.entry, item.fixed or "none yet", item.summary] for item in found]
    table = Table("Known vulnerabilities", ["package", "version", "entry", "fixed in", "what"], rows)
    return Check(NAME, Found.WARNED, f"{len(found)} in {names[:200]}", len(found), 0, n=len(packages)), table


def _entries(database: Path) -> Iterator[dict[str, Any]]:
    with said_plainly(database):
        if database.is_dir():
            for path in sorted(database.rglob("*.json")):
                yield from _parsed(path.read_bytes(), str(path))
        elif zipfile.is_zipfile(database):
            with zipfile.ZipFile(database) as archive:
                for name in sorted(archive.namelist()):
                    if name.endswith(".json"):
                        with archive.open(name) as member:
                            yield from _parsed(member.read(_LIMIT), f"{database}!{name}")
        else:
            yield from _parsed(database.read_bytes(), str(database))


def _parsed(raw: bytes, where: str) -> Iterator[dict[str, Any]]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON ({error})") from error
    for item in document if isinstance(document, list) else [document]:
        if isinstance(item, dict) and not item.get("withdrawn"):
            yield item


def _affected(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in document.get("affected") or ():
        if str(item.get("package", {}).get("ecosystem", "")).lower() == _ECOSYSTEM:
            yield item


def _matches(document: Mapping[str, Any], item: Mapping[str, Any], packages: Sequence[Locked]) -> Iterator[Known]:
    name = re.sub(r"[-_.]+", "-", str(item["package"].get("name", ""))).lower()
    for package in packages:
        if package.name == name and _is_affected(package.version, item):
            summary = str(document.get("summary") or document.get("details") or "")
            fixed = ", ".join(event["fixed"] for event in _events(item) if "fixed" in event)
            yield Known(name, package.version, str(document.get("id", "?")), " ".join(summary.split())[:160], fixed)


def _is_affected(version: str, item: Mapping[str, Any]) -> bool:
    """Whether a version is listed, or lies within a range; one that cannot be compared counts as affected."""
    if version in (item.get("versions") or ()):
        return True
    try:
        return any(_within(Version(version), one.get("events") or ()) for one in _ranges(item))
    except InvalidVersion:
        return True


def _within(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """Go through the events in the order of their versions (osv-schema: "Evaluation")."""
    inside = False
    for kind, limit in sorted(((kind, v) for event in events for kind, v in event.items()), key=_place):
        bound = Version("0.dev0" if limit == "0" else limit)
        if kind == "introduced" and version >= bound:
            inside = True
        elif (kind == "fixed" and version >= bound) or (kind == "last_affected" and version > bound):
            inside = False
    return inside


def _place(event: tuple[str, str]) -> Version:
    return Version("0.dev0" if event[1] == "0" else event[1])


def _ranges(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in item.get("ranges") or () if one.get("type") in {"ECOSYSTEM", "SEMVER"}]


def _events(item: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    for one in _ranges(item):
        yield from one.get("events") or ()
