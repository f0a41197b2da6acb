"""What all tests share: unit tests start no process and open no connection; a story stays with one worker."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

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


REAL = ("contract", "e2e", "integration", "jenkins", "steps")  # folders whose tests wait for real processes and clocks


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """
    Run a test with real servers once more if its call fails: a busy machine is no fault of the code.

    The first failure is not forgotten: the summary tells it. What fails twice is red, and unit tests get one chance.
    """
    if item.path.relative_to(UNIT.parent).parts[0] not in REAL:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    failed = next((report for report in reports if report.when == "call" and report.failed), None)
    if failed:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        for report in reports:
            report.user_properties.append(("first attempt", str(failed.longrepr)[-1500:]))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell which tests passed at their second attempt, and why they failed at the first."""
    for report in terminalreporter.stats.get("passed", []):
        for name, told in report.user_properties:
            if name == "first attempt":
                terminalreporter.section(f"passed at the second attempt: {report.nodeid}")
                terminalreporter.write_line(told)
