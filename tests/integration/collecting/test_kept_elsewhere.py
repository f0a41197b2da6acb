"""A month that was published and removed from the service: nothing is read again, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import shop

if TYPE_CHECKING:
    from ci.project import Project
    from tests.integration.collecting.running import Running
    from tests.steps.checkout import Checkout


def test_months_that_the_service_let_go_are_read_from_what_was_published(
    checkout: Checkout, running: Running, shop_of_ours: Project
) -> None:
    replay = ("replay", "--periods", "2024-03..2024-05-03", "--url", running.url)
    assert checkout.run(*replay, **running.variables).code == 0
    assert checkout.run("collect", "--collector", **running.variables).code == 0
    client = running.client(shop_of_ours)
    march = client.periods()[0]
    client.remove(march)
    assert [(held.period, bool(held.removed)) for held in client.periods()] == [
        ("2024-03", True), ("2024-04", False), ("2024-05", False)
    ]  # fmt: skip
    before = checkout.files("data", "projects/shop")
    assert "nothing new" in checkout.run("collect", **running.variables).err
    assert checkout.files("data", "projects/shop") == before
    ended = checkout.run(*replay, **running.variables)
    assert (ended.code, "sent before" in ended.err) == (0, True), "a replay does not take it for lost"

    accepted = {"label_horizon_days": 2, "columns": {"age": {"maximum": 140}}}
    text = (checkout.root / "projects/shop/contract.yaml").read_text()
    (checkout.root / "projects/shop/contract.yaml").write_text(text.replace("maximum: 120", "maximum: 140"))
    running.kill()
    running.knows(shop.shop(shop_of_ours.folder.parents[1], contract=accepted, params={"source": {"lateness_days": 0}}))
    running.start()
    ended = checkout.run("collect", **running.variables)
    assert ended.code == 0, ended.err
    assert "2024-03" in checkout.report("collect")["data"]["read"]
    file = "data/shop/raw/2024-03.parquet"
    assert checkout.files("data")[file] == before[file], "under another contract the same rows"

    (checkout.root / file).unlink()
    ended = checkout.run("collect", **running.variables)
    assert ended.code == 2
    assert "2024-03: its rows were published and removed there" in ended.err
    assert "dvc pull data/shop/raw" in ended.err
