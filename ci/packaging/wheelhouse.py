"""Which wheels a lock file asks for on one platform, and which of them lie in a folder: by name, tag and sha256."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.files import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBC = range(5, 37)  # manylinux_2_5 to 2_36, which is bookworm's


@dataclass(frozen=True, slots=True)
class Target:
    """What wheels must fit: version of Python (3.11) and platform (linux/amd64)."""

    python: str
    platform: str

    @property
    def machine(self) -> str:
        """The processor as wheels spell it."""
        return _MACHINES[self.platform]

    @property
    def platforms(self) -> list[str]:
        """Names of the platform in wheels, newest first."""
        newest_first = [f"manylinux_2_{minor}_{self.machine}" for minor in reversed(_GLIBC)]
        return [*newest_first, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock file: name, version, and the digests of its files."""

    name: str
    version: str
    hashes: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was found, and is what the lock names."""

    pin: Pin
    path: Path
    sha256: str


def pins(lock: Path, target: Target) -> list[Pin]:
    """
    Read a lock file with hashes, as pip takes it; packages that are not for `target` are left out.

    Raises:
        BadInput: unreadable, or a line has no version or no hash.
    """
    try:
        text = lock.read_text("utf-8").replace("\\\n", " ")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{lock}: cannot be read ({error})") from error
    found = (_pin(line.strip(), lock, target) for line in text.splitlines())
    return sorted((pin for pin in found if pin is not None), key=str)


def _pin(line: str, lock: Path, target: Target) -> Pin | None:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if not line or line.startswith(("#", "-")):
        return None
    hashes = frozenset(_HASH.findall(line))
    try:
        requirement = Requirement(_HASH.sub("", line).strip())
    except InvalidRequirement as error:
        raise BadInput(f"{lock}: {line[:60]}: {error}") from error
    exact = re.fullmatch(r"==([^,*]+)", str(requirement.specifier))
    if not exact or not hashes:
        raise BadInput(f"{lock}: {requirement.name}: no exact version with a sha256", hint="make lock writes it")
    if requirement.marker and not requirement.marker.evaluate(_environment(target)):
        return None
    return Pin(canonicalize_name(requirement.name), exact[1], hashes)


def _environment(target: Target) -> dict[str, str]:
    """Describe the target in the words of PEP 508."""
    return {
        "implementation_name": "cpython", "os_name": "posix", "platform_machine": target.machine,
        "platform_python_implementation": "CPython", "platform_system": "Linux", "sys_platform": "linux",
        "python_full_version": f"{target.python}.0", "python_version": target.python, "extra": "",
    }  # fmt: skip


def find(wanted: Sequence[Pin], folder: Path, target: Target) -> tuple[list[Wheel], list[Pin]]:
    """Return the wheels of `folder` that fit, and the pins that have none; a file with another digest is none."""
    best = {str(pin): wheel for pin, wheel in _fitting(wanted, folder, target)}
    return list(best.values()), [pin for pin in wanted if str(pin) not in best]


def _fitting(wanted: Sequence[Pin], folder: Path, target: Target) -> Iterator[tuple[Pin, Wheel]]:
    """Yield each wheel that fits; of one pin, the one that fits best comes last."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    order = {tag: place for place, tag in enumerate(_tags(target))}
    found = []
    for path in sorted(folder.glob("*.whl")) if folder.is_dir() else ():
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        places = [order[str(tag)] for tag in tags if str(tag) in order]
        pin = next((pin for pin in wanted if (pin.name, pin.version) == (name, str(version))), None)
        if pin and places and (digest := sha256(path)) in pin.hashes:
            found.append((min(places), pin, Wheel(pin, path, digest)))
    for _, pin, wheel in sorted(found, key=lambda item: -item[0]):
        yield pin, wheel


def _tags(target: Target) -> list[str]:
    """Name the tags that fit, best first."""
    from packaging.tags import compatible_tags, cpython_tags

    major, minor = (int(part) for part in target.python.split("."))
    own = cpython_tags((major, minor), platforms=target.platforms)
    pure = compatible_tags((major, minor), f"cp{major}{minor}", platforms=target.platforms)
    return [str(tag) for tag in (*own, *pure)]
