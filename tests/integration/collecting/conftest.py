"""A real service and a shop whose rows it collects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import shop
from tests.integration.collecting.running import Running
from tests.steps.checkout import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ci.project import Project

HORIZON = {"label_horizon_days": 2}
SOURCE = {"lateness_days": 0}


@pytest.fixture
def shop_of_ours(tmp_path: Path) -> Project:
    return shop.shop(tmp_path / "shop", contract=HORIZON, params={"source": SOURCE})


@pytest.fixture
def running(tmp_path: Path, shop_of_ours: Project) -> Iterator[Running]:
    """The service, which knows the shop."""
    made = Running(tmp_path / "service")
    made.knows(shop_of_ours)
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def shop_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Six months of visits, of which the params know two, in a checkout in which nothing ran."""
    made = Checkout.make(tmp_path_factory.mktemp("collecting") / "checkout")
    made.deliver(shop.visits(months=6))
    made.project(contract=HORIZON, params={"as_of": "2024-03-01", "source": SOURCE})
    return made


@pytest.fixture
def checkout(shop_checkout: Checkout, tmp_path: Path) -> Checkout:
    return shop_checkout.copy(tmp_path / "checkout")
