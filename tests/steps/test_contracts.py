"""steps.contracts: every end that it names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from collector.contract import load_all

if TYPE_CHECKING:
    from tests.steps.checkout import Checkout


@pytest.fixture
def listed(fresh: Checkout) -> Checkout:
    (fresh.root / "params.yaml").write_text("projects: [shop]\n")
    return fresh


def test_a_file_for_each_project(listed: Checkout) -> None:
    ended = listed.run("contracts", project=None)
    assert ended.code == 0, ended.err
    found = load_all(listed.root / ".slipway/contracts")
    assert list(found) == ["shop"]
    report = json.loads((listed.root / "reports/all/contracts.json").read_text())
    assert report["facts"]["shop"] == found["shop"].digest


def test_a_contract_that_cannot_be_read_leaves_the_former_file(listed: Checkout) -> None:
    assert listed.run("contracts", project=None).code == 0
    before = (listed.root / ".slipway/contracts/shop.json").read_bytes()
    (listed.root / "projects/shop/contract.yaml").write_text("target: nothing")
    ended = listed.run("contracts", project=None)
    assert ended.code == 2
    assert "projects/shop/contract.yaml" in ended.err
    assert (listed.root / ".slipway/contracts/shop.json").read_bytes() == before


def test_an_unknown_project_is_bad_input(listed: Checkout) -> None:
    ended = listed.run("contracts", "--only", "nobody", project=None)
    assert ended.code == 2
    assert "nobody: unknown project" in ended.err
