"""Lock files: which packages at which version, by which digests (requirements files with `--hash`, as pip and uv write)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ci.errors import BadInput

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package: its normalized name (PEP 503), version, and the sha256 of each file that may be installed."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read(text: str, where: str) -> list[Locked]:
    """
    Read a lock file.

    Raises:
        BadInput: a line that pins no version, or a package without digests.
    """
    found = []
    for line in re.sub(r"\\\s*\n", " ", text).splitlines():
        entry = line.partition(" #")[0].strip()
        if not entry or entry.startswith(("#", "--")):
            continue
        pinned, hashes = _PIN.match(entry), tuple(sorted(_HASH.findall(entry)))
        if not pinned or not hashes:
            raise BadInput(f"{where}: {entry[:60]}: not pinned by version and digest", hint="`make lock` renews it")
        found.append(Locked(re.sub(r"[-_.]+", "-", pinned[1]).lower(), pinned[2], hashes))
    return found
