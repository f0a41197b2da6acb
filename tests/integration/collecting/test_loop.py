"""Replay and collect as the steps that they are, through the real service."""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from ci.adapters.collected import CollectorReader
from ci.data.rows import conformed
from ci.sources import CollectorTable
from tests import shop

if TYPE_CHECKING:
    from ci.project import Project
    from tests.integration.collecting.running import Running
    from tests.steps.checkout import Checkout

KILLS = int(os.environ.get("SLIPWAY_KILLS", "5"))
MARCH = ("replay", "--periods", "2024-03..2024-04-01")


def rows(checkout: Checkout, period: str) -> pd.DataFrame:
    return pd.read_parquet(checkout.root / f"data/shop/raw/{period}.parquet")


def in_file(checkout: Checkout) -> pd.DataFrame:
    """Read the file as the contract has it."""
    frame = conformed(pd.read_csv(checkout.root / "rows.csv"), shop.contract())
    return frame.sort_values("at", kind="stable", ignore_index=True)


def test_months_go_round(checkout: Checkout, running: Running) -> None:
    """Given rows in a file, when they are replayed and collected month by month, then they are the same rows."""
    wanted = in_file(checkout)
    replayed = checkout.run(*MARCH, "--url", running.url, **running.variables)
    assert replayed.code == 0, replayed.err
    collected = checkout.run("collect", "--collector", **running.variables)
    assert collected.code == 0, collected.err
    assert "as_of 2024-03-01 → 2024-04-01; the collection service takes over" in collected.err
    assert rows(checkout, "2024-03")["back"].isna().sum() > 5, "nobody knows yet of the last day"
    assert (
        checkout.run("replay", "--periods", "2024-04..2024-05-03", "--url", running.url, **running.variables).code == 0
    )
    assert checkout.run("collect", **running.variables).code == 0
    assert checkout.report("collect")["data"]["read"] == ["2024-03", "2024-04"]
    assert checkout.report("collect")["data"]["restated"] == ["2024-03"]
    for period in ("2024-03", "2024-04"):
        frame = wanted[wanted["at"].dt.strftime("%Y-%m") == period].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows(checkout, period)[frame.columns], frame)
    before = checkout.files("data", "projects/shop")
    assert "nothing new: as_of stays 2024-05-01" in checkout.run("collect", **running.variables).err
    assert checkout.files("data", "projects/shop") == before
    assert checkout.leftovers() == []


def test_the_service_away_is_unavailable_and_moves_nothing(checkout: Checkout, running: Running) -> None:
    checkout.run(*MARCH, "--url", running.url, **running.variables)
    running.kill()
    before = checkout.files("projects/shop")
    ended = checkout.run("collect", "--collector", **running.variables)
    assert (ended.code, checkout.files("projects/shop")) == (5, before)
    assert f"{running.url}: the collection service does not answer (connection refused)" in ended.err
    ended = checkout.run(*MARCH, "--url", running.url, "--again", "--patience-s", "0", **running.variables)
    assert ended.code == 5


def test_wrong_tokens_and_wrong_contracts_are_told_apart(checkout: Checkout, running: Running) -> None:
    ended = checkout.run(*MARCH, "--url", running.url, SLIPWAY_COLLECTOR_TOKEN="wrong-token-of-somebody")
    assert ended.code == 2
    assert "SLIPWAY_COLLECTOR_TOKEN must hold a token" in ended.err
    assert "wrong-token-of-somebody" not in ended.err + str(checkout.report("replay"))
    checkout.project(
        contract={"label_horizon_days": 2, "columns": {"age": {"maximum": 130}}}, params={"as_of": "2024-03-01"}
    )
    for step, more in ((MARCH, ("--url", running.url)), (("collect",), ("--collector",))):
        ended = checkout.run(*step, *more, **running.variables)
        assert ended.code == 2, ended.err
        assert "deploy the service with this checkout's contract" in ended.err
        assert len({word for word in ended.err.replace(",", " ").replace(")", " ").split() if len(word) == 64}) == 2


def test_what_the_contract_refuses_is_told_with_a_patch_and_goes_in_once_it_is_accepted(
    checkout: Checkout, running: Running, shop_of_ours: Project
) -> None:
    frame = shop.visits(months=6)
    frame.loc[frame["at"].str.startswith("2024-03-05"), "age"] = 140
    checkout.deliver(frame)
    ended = checkout.run(*MARCH, "--url", running.url, **running.variables)
    assert ended.code == 3, ended.err
    patch = "# columns: age: maximum: 140"
    (told,) = [table for table in checkout.report("replay")["tables"] if table["title"] == "Contract patch"]
    assert told["rows"] == [[patch]]
    assert checkout.run("collect", "--collector", **running.variables).code == 0
    (check,) = [check for check in checkout.report("collect")["checks"] if check["name"] == "quarantine"]
    assert (check["outcome"], check["extra"]["patch"]) == ("warned", [patch])
    refused = check["observed"]
    assert len(rows(checkout, "2024-03")) == 300 - refused
    accepted = {"label_horizon_days": 2, "columns": {"age": {"maximum": 140}}}
    text = (checkout.root / "projects/shop/contract.yaml").read_text()
    (checkout.root / "projects/shop/contract.yaml").write_text(text.replace("maximum: 120", "maximum: 140"))
    running.kill()
    running.knows(shop.shop(shop_of_ours.folder.parents[1], contract=accepted, params={"source": {"lateness_days": 0}}))
    running.start()
    ended = checkout.run(*MARCH, "--url", running.url, **running.variables)
    assert ended.code == 0, ended.err
    assert checkout.report("replay")["data"]["accepted"] >= refused
    assert checkout.run("collect", **running.variables).code == 0
    assert len(rows(checkout, "2024-03")) == 300


@pytest.mark.slow
def test_a_service_killed_under_load_has_every_row_once(checkout: Checkout, running: Running) -> None:
    """Given a sender that tries again, when the service is killed now and then, then every row is there exactly once."""
    ended = threading.Event()

    def killer() -> None:
        draw = random.Random(4)
        for _ in range(KILLS):
            if ended.wait(draw.uniform(0.1, 1.0)):
                return
            running.kill()
            running.start()

    thread = threading.Thread(target=killer)
    thread.start()
    patience = str(60 + 10 * KILLS)  # on a busy machine it is away more often than it is there
    arguments = ("--periods", "2024-01..2024-06", "--batch", "7", "--patience-s", patience, "--url", running.url)
    done = checkout.run("replay", *arguments, **running.variables)
    ended.set()
    thread.join()
    assert done.code == 0, done.err
    running.kill()
    running.start()
    frame = pd.concat([read(checkout, running, month) for month in range(1, 7)])
    assert list(frame["id"]) == list(range(1800)), "none is missing, none is there twice"
    state = running.client(shop_at(checkout)).state()
    assert (state.records, state.quarantined) == (1800, 0)


def shop_at(checkout: Checkout) -> Project:
    return shop.Shop("shop", checkout.root / "projects" / "shop")


def read(checkout: Checkout, running: Running, month: int) -> pd.DataFrame:
    reader = CollectorReader(shop_at(checkout), CollectorTable(kind="collector"), checkout.root / ".cache")
    reader.__dict__["client"] = running.client(shop_at(checkout))
    start = pd.Timestamp(2024, month, 1)
    return reader.read(start.to_pydatetime(), (start + pd.DateOffset(months=1)).to_pydatetime())
