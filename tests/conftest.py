"""What all tests share: unit tests start no process and open no connection; a story stays with one worker."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers of pytest share the cores already
UNIT = Path(__file__).parent / "unit"


class NoSocket(socket.socket):
    """A socket that refuses to be opened, except as the pipe that an event loop makes for itself."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
        if fileno is None and family != socket.AF_UNIX:
            pytest.fail("a unit test opened a socket", pytrace=True)
        super().__init__(family, type, proto, fileno)


@pytest.fixture(autouse=True)
def unit_tests_stay_inside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Popen and socket raise below tests/unit."""
    if UNIT not in request.path.parents:
        return

    started = subprocess.Popen

    def no_process(*arguments: Any, **options: Any) -> Any:
        if arguments and list(arguments[0])[:1] in (["lscpu"], ["fc-list"]):  # joblib counts cores, matplotlib fonts
            return started(*arguments, **options)
        return pytest.fail(f"a unit test started a process: {arguments}", pytrace=True)

    monkeypatch.setattr(subprocess, "Popen", no_process)
    monkeypatch.setattr(socket, "socket", NoSocket)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """
    Keep the tests of one file on one worker where they share what takes long to build: not in unit and simulation.

    This is what `xdist_group` is for, but the marks of pytest-xdist 3.8 are lost on the node ids of pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByStory(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            apart = "/unit/" in nodeid or "/simulation/" in nodeid
            return nodeid if apart else nodeid.split("::", 1)[0]

    return ByStory(config, log)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[str]:
    """Where a container engine answers; started for the tests if need be, and then ended after them."""
    from tests.integration.engines import engine

    with engine() as place:
        yield place


@pytest.fixture(scope="session")
def image_layout(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests of docker environments keep the image that they share."""
    return tmp_path_factory.mktemp("images")
