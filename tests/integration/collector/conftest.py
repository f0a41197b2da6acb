from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.collector.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services; they end with the test."""
    running: list[Service] = []

    def start(*options: str, **more: object) -> Service:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Service(folder, *options, **more))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for service in running:
        if service.process.poll() is None:
            service.kill()


@pytest.fixture
def service(started: Callable[..., Service]) -> Service:
    return started()
