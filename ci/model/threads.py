"""
How the threads of a fit wait for each other.

A thread of OpenMP that waits spins, which makes a lone fit a fifth faster and ruins it where others want the cores:
measured, 42 s became 112 s. The model's bytes are the same either way.
"""

from __future__ import annotations

import os
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")
VARIABLE = "OMP_WAIT_POLICY"
SHARED = 10.0  # % of the last ten seconds in which somebody waited for a core


def settle(pressure: Path = PRESSURE) -> None:
    """Let threads sleep while they wait if this machine's cores are wanted; to be called before OpenMP is loaded."""
    if waited(pressure) >= SHARED:
        os.environ.setdefault(VARIABLE, "PASSIVE")


def waited(pressure: Path) -> float:
    """Return the percentage of the last ten seconds in which some task waited for a core; 0 where nobody counts."""
    try:
        (line,) = [line for line in pressure.read_text().splitlines() if line.startswith("some ")]
        return float(dict(item.split("=") for item in line.split()[1:])["avg10"])
    except (OSError, ValueError, KeyError):
        return 0.0
