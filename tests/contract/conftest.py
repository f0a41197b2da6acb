"""Both stores of the collection service, for what has to be true of either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collector.store.opening import opened
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collector.store.interface import Store


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Cluster]:
    with postgres.running() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("server").database())


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    found = opened(address)
    yield found
    found.close()
