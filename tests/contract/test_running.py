"""The environment in memory keeps the contract of the real ones: processes, and containers where there is an engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from ci.adapters import environments  # noqa: E402
from tests.containers import a_place, usable  # noqa: E402
from tests.contract.running import RunningContract  # noqa: E402
from tests.e2e.environments import Place  # noqa: E402
from tests.releases import MemoryRunning  # noqa: E402


class TestMemory(RunningContract):
    """The fake that the tests of promotion work with."""

    def place(self, tmp_path):
        """Begin with nothing."""
        return MemoryRunning(), None


@pytest.mark.slow
class TestProcesses(RunningContract):
    """Servers and Envoy as processes of this machine."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        usable()
        self.made = Place(tmp_path)
        yield
        self.made.open().stop("tests")

    def place(self, tmp_path):
        """Begin in an empty folder."""
        return self.made.open(), environments.health()

    def record(self, version):
        """Name the bundle of flights."""
        return self.made.release(version)


@pytest.mark.slow
class TestContainers(RunningContract):
    """Servers and Envoy as containers."""

    @pytest.fixture(autouse=True)
    def _place(self, image_layout):
        self.made = a_place(image_layout)
        yield
        self.made.sweep()
        assert self.made.names() == []

    def place(self, tmp_path):
        """Begin with nothing of this name on the engine."""
        return self.made.open(), self.made.verifier()

    def record(self, version):
        """Name the image of flights."""
        return self.made.release(version)
