"""Checkouts at every stage of their life; built once per test run and copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.steps.checkout import Checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout.make(tmp_path_factory.mktemp("new") / "checkout")


@pytest.fixture(scope="session")
def built_checkout(new_checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One in which all stages have passed."""
    made = new_checkout.copy(tmp_path_factory.mktemp("built") / "checkout")
    ended = made.upto("bundle")
    assert ended.code == 0, ended.err
    return made


@pytest.fixture
def fresh(new_checkout: Checkout, tmp_path: Path) -> Checkout:
    """A checkout in which nothing has run."""
    return new_checkout.copy(tmp_path / "checkout")


@pytest.fixture
def built(built_checkout: Checkout, tmp_path: Path) -> Checkout:
    """A checkout in which everything has run."""
    return built_checkout.copy(tmp_path / "checkout")
