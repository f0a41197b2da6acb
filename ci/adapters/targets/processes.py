"""A name for this process that holds across machines, so that whoever is on the same one can tell that it ended."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def mark() -> str:
    """Return machine (as booted), namespace, number and start of this process; empty where the system does not tell."""
    with suppress(OSError):
        return f"{_machine()}/{os.getpid()}/{_start(os.getpid())}"
    return ""


def ended(found: str) -> bool:
    """Whether the process of a mark has certainly ended: it was one of this machine, and is not there any more."""
    with suppress(OSError, ValueError):
        machine, number, start = found.rsplit("/", 2)
        if machine != _machine():
            return False
        with suppress(FileNotFoundError, ProcessLookupError):
            return _start(int(number)) != start
        return True
    return False


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 # no path


def _start(number: int) -> str:
    told = Path(f"/proc/{number}/stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()
    return "" if told[0] in {"Z", "X"} else told[19]
