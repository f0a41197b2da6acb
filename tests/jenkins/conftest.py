"""The harness, compiled once; a repository to build."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.controller import Controller, Machine, compiled, missing


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if reason := missing():
        pytest.skip(reason)
    machine = Machine(compiled(tmp_path_factory.mktemp("harness")))
    yield machine
    machine.close()


@pytest.fixture
def scratch(tmp_path: Path, harness: Machine) -> Controller:
    """A controller whose only repository has one file."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "hello.txt").write_text("hello\n")
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *command], cwd=repository, check=True)
    agents = {"slipway": {"PATH": "/usr/bin:/bin"}}
    return Controller(harness, tmp_path / "jenkins", repository, {}, agents, number=2)
