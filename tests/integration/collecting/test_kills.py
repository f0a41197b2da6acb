"""
steps.collect killed at random instants: never anything half-published, and the next run ends what it began.

SLIPWAY_KILLS says how often (5 by itself; 50 for a long look): three times in five it reads files, else the service.
"""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci.data.manifest import intact, load_manifest
from tests import shop
from tests.integration.collecting.running import Running
from tests.steps.checkout import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = int(os.environ.get("SLIPWAY_KILLS", "5"))
MONTHS, ROWS = 8, 3000
SOURCE = {"period": "month", "eras": [{"name": "shop", "start": "2024-01-01", "tables": {
    "visits": {"kind": "file", "path": "months", "time": "at"}}}]}  # fmt: skip


def delivered(root: Path, months: int, *, restated: bool) -> None:
    """Lay one file for each month; restated, the first of them says something else."""
    frame = shop.visits(months=MONTHS, per_month=ROWS)
    for month, rows in list(frame.groupby(frame["at"].str[:7]))[:months]:
        kept = rows.iloc[1:] if restated and month == "2024-02" else rows
        kept.to_parquet(root / "months" / f"{month}.parquet")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Three months are collected; by now there are more, and one of the three reads differently."""
    made = Checkout.make(tmp_path_factory.mktemp("kills") / "before")
    (made.root / "months").mkdir()
    delivered(made.root, 3, restated=False)
    made.project(params={"as_of": "2024-02-01", "source": SOURCE})
    assert made.run("collect").code == 0
    delivered(made.root, MONTHS, restated=True)
    return made


@pytest.fixture(scope="module")
def after(before: Checkout, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, float]:
    """How it looks when nobody kills it, and how long that took."""
    made, took_s = unharmed(before, tmp_path_factory.mktemp("kills") / "after")
    assert made.report("collect")["data"]["restated"] == ["2024-02"]
    return made, took_s


@pytest.fixture(scope="module")
def service(before: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The real one, to which what is new was sent."""
    root = tmp_path_factory.mktemp("service")
    made = Running(root)
    made.knows(shop.shop(root / "shop", params={"source": {"lateness_days": 0}}))
    made.start()
    sender = before.copy(root / "sender")
    replayed = sender.run("replay", "--periods", f"2024-02..2024-{MONTHS:02}", "--url", made.url, **made.variables)
    assert replayed.code == 0, replayed.err
    yield made
    made.kill()


@pytest.fixture(scope="module")
def after_takeover(
    before: Checkout, service: Running, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkout, float]:
    """The same, from the service."""
    return unharmed(before, tmp_path_factory.mktemp("kills") / "taken", "--collector", **service.variables)


def unharmed(before: Checkout, root: Path, *arguments: str, **more: str) -> tuple[Checkout, float]:
    made = before.copy(root)
    began = time.monotonic()
    ended = made.run("collect", *arguments, **more)
    assert ended.code == 0, ended.err
    return made, time.monotonic() - began


def as_of(checkout: Checkout) -> str:
    text = (checkout.root / "projects/shop/params.yaml").read_text()
    return re.findall(r"^as_of: ['\"]?([0-9-]+)", text, re.MULTILINE)[0]


@pytest.mark.parametrize("kill", [kill for kill in range(KILLS) if kill % 5 < 3])
def test_a_killed_collect_publishes_nothing_half_and_the_next_one_ends_it(
    before: Checkout, after: tuple[Checkout, float], tmp_path: Path, kill: int
) -> None:
    killed_and_run_again(before, after, tmp_path, kill)


@pytest.mark.parametrize("kill", [kill for kill in range(KILLS) if kill % 5 >= 3])
def test_the_same_while_it_reads_from_the_service(
    before: Checkout, after_takeover: tuple[Checkout, float], service: Running, tmp_path: Path, kill: int
) -> None:
    killed_and_run_again(before, after_takeover, tmp_path, kill, "--collector", **service.variables)


def killed_and_run_again(
    before: Checkout, unharmed: tuple[Checkout, float], root: Path, kill: int, *arguments: str, **more: str
) -> None:
    whole, took_s = unharmed
    moment = random.Random(kill).uniform(0.2, 1.05) * took_s  # the first part is imports
    checkout = before.copy(root / "checkout")
    process = checkout.start("collect", *arguments, **more)
    time.sleep(moment)
    process.kill()
    process.communicate()
    raw, params = checkout.root / "data/shop/raw", (checkout.root / "projects/shop/params.yaml").read_bytes()
    manifest = load_manifest(raw)
    assert params in {(made.root / "projects/shop/params.yaml").read_bytes() for made in (before, whole)}
    assert manifest in [load_manifest(made.root / "data/shop/raw") for made in (before, whole)]
    if as_of(checkout) == as_of(whole):
        assert manifest.as_of == as_of(whole), "params moved before the rows did"
        assert all(intact(raw, part) for part in manifest.parts)
    for left in checkout.leftovers():
        os.utime(left, (0, 0))  # what is young could be another run's, which is at work
    ended = checkout.run("collect", *arguments, **more)
    assert ended.code == 0, ended.err
    assert as_of(checkout) == load_manifest(raw).as_of
    for folder in ("data", "projects/shop"):
        assert checkout.files(folder) == whole.files(folder), f"killed after {moment:.2f} of {took_s:.2f} s"
    assert checkout.leftovers() == []


@pytest.mark.parametrize("step", ["ingest", "collect"])
def test_whatever_runs_next_params_and_rows_agree(
    before: Checkout, after: tuple[Checkout, float], tmp_path: Path, step: str
) -> None:
    """The rows are there, the params are not moved yet: the worst moment for a kill."""
    checkout, params = after[0].copy(tmp_path / "checkout"), Path("projects/shop/params.yaml")
    (checkout.root / params).write_bytes((before.root / params).read_bytes())
    assert checkout.run(step).code == 0
    assert as_of(checkout) == load_manifest(checkout.root / "data/shop/raw").as_of


def test_two_at_once_do_not_meet(before: Checkout, tmp_path: Path) -> None:
    checkout = before.copy(tmp_path / "checkout")
    both = [checkout.start("collect") for _ in range(2)]
    codes = sorted((process.communicate(timeout=60), process.returncode)[1] for process in both)
    assert codes in ([0, 5], [0, 0]), "the second waits for nobody: unavailable, or late enough"
    assert checkout.run("collect").code == 0
    assert as_of(checkout) == load_manifest(checkout.root / "data/shop/raw").as_of == "2024-09-01"
