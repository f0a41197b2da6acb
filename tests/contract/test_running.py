"""The environment in memory keeps the contract of the real ones."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from tests.contract.running import RunningContract  # noqa: E402
from tests.releases import MemoryRunning  # noqa: E402


class TestMemory(RunningContract):
    """The fake that the tests of promotion work with."""

    def place(self, tmp_path):
        """Begin with nothing."""
        return MemoryRunning(), None
