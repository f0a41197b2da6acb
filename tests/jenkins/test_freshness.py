"""
Data arrive, by the pipeline: real steps, a real DVC remote, a repository with an origin.

One story, told in order: each test goes on where the one before it ended.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.browser import BROWSER
from tests.integration.conftest import BIN, ROOT, new_checkout
from tests.jenkins.controller import Built, Controller, Machine
from tests.jenkins.pages import looked_at
from tests.jenkins.stub import MAKEFILE
from tests.notices import receiver

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("freshness")]


class Site:
    """A shop whose visits arrive as a file; `told` holds what its owner was told."""

    def __init__(self, root: Path, machine: Machine, url: str, told: list[dict[str, Any]]) -> None:
        (root / "desk").mkdir()
        self.root, self.told, self.desk = root, told, new_checkout(root / "desk")
        self.source, self.origin = root / "visits.csv", root / "origin.git"
        (self.desk.path / "Makefile").write_text(MAKEFILE.format(python=sys.executable))
        (self.desk.path / "params.yaml").write_text("projects: [shop]\nledger: {remote: origin}\n")
        promise = "freshness: {max_age_days: 36000}\n"
        params = self.desk.path / "projects/shop/params.yaml"
        params.write_text(params.read_text().replace('"2024-04-01"', '"2024-03-01"') + promise)
        self.desk.commit("a shop")
        subprocess.run(["git", "clone", "-q", "--bare", str(self.desk.path), str(self.origin)], check=True)
        agents = {"slipway": {"PATH": f"{BIN}:/usr/bin:/bin", "SLIPWAY_NOTICES_URL": url, "OMP_NUM_THREADS": "1"}}
        jobs = {"freshness": {"file": str(ROOT / "ci/jenkins/freshness.Jenkinsfile"), "seeded": True},
                "delivery": {"file": str(ROOT / "Jenkinsfile"), "seeded": True}}  # fmt: skip
        self.controller = Controller(machine, root / "jenkins", self.origin, jobs, agents)

    def refs(self) -> str:
        done = subprocess.run(["git", "for-each-ref"], cwd=self.origin, capture_output=True, text=True, check=True)
        return done.stdout

    def at(self, ref: str, path: str) -> str:
        done = subprocess.run(
            ["git", "show", f"{ref}:{path}"], cwd=self.origin, capture_output=True, text=True, check=True
        )
        return done.stdout


@pytest.fixture(scope="module")
def site(harness: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with receiver() as (url, told):
        yield Site(tmp_path_factory.mktemp("freshness"), harness, url, told)


def steps(built: Built) -> list[tuple[str, int]]:
    return [(step, code) for step, code in built.steps if step != "describe"]


ALL = ["repro", "collect", "repro", "publish", "check_data"]


def test_a_month_arrives_and_is_published(site: Site) -> None:
    built = site.controller.build("freshness", {"PROJECT": "shop"}, user="ann").first
    assert (built.result, steps(built)) == ("SUCCESS", [(step, 0) for step in ALL]), built.console[-6000:]
    assert "refs/tags/shop-data@v1.0.0" in site.refs()
    assert 'as_of: "2024-04-01"' in site.at("data/shop", "projects/shop/params.yaml")
    assert 'as_of: "2024-03-01"' in site.at("main", "projects/shop/params.yaml")
    assert site.at("data/shop", "datasets/shop/README.md").startswith("# shop-data@v1.0.0\n")
    assert (
        "Published by ann"
        in site.at("data/shop", "datasets/shop/README.md")
        + subprocess.run(
            ["git", "log", "-1", "--format=%B", "data/shop"],
            cwd=site.origin,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert built.description == "shop, data v1.0.0, publish passed"
    assert [(item["kind"], item["release"]) for item in site.told] == [("data", "shop-data@v1.0.0")]


def test_run_twice_nothing_changes(site: Site) -> None:
    before = site.refs()
    built = site.controller.build("freshness", {"PROJECT": "shop"}, cause="TimerTrigger").first
    assert (built.result, steps(built)) == ("SUCCESS", [(step, 0) for step in ALL]), built.console[-6000:]
    assert site.refs() == before
    assert len(site.told) == 1


def test_a_corrupt_delivery_ends_yellow_and_nothing_is_published(site: Site) -> None:
    before, rows = site.refs(), pd.read_csv(site.source)
    april = rows.tail(400).assign(id=lambda part: part["id"] + 5000)
    april["day"] = [f"2024-04-{day % 30 + 1:02d}" for day in range(len(april))]
    april.iloc[7, april.columns.get_loc("age")] = -1
    pd.concat([rows, april]).to_csv(site.source, index=False)
    built = site.controller.build("freshness", {"PROJECT": "shop"}, cause="TimerTrigger").first
    assert built.result == "UNSTABLE"
    assert steps(built) == [("repro", 0), ("collect", 0), ("repro", 3), ("publish", 3), ("check_data", 0)], (
        built.console[-6000:]
    )
    assert site.refs() == before
    assert len(site.told) == 2, [(item["at"], item["outcome"], item["message"]) for item in site.told]
    notice = site.told[1]
    assert (notice["kind"], notice["outcome"], notice["environment"]) == ("data", "rejected", None)
    assert "age is below 0 in 1 of 1,600 rows, first in 2024-04, such as -1" in notice["message"]
    assert "shop-data@v1.0.0 stays the newest version; shop@example.org is told" in notice["hint"]
    wrong = april.iloc[7]
    assert f"  such as id {wrong['id']}, day {wrong['day']}T00:00:00, age -1" in notice["details"]


@pytest.mark.skipif(BROWSER is None, reason="no chromium on the path")
def test_every_page_that_was_put_away_opens_legibly_under_jenkins_policy(site: Site) -> None:
    found, opened = looked_at(site.root / "jenkins/archive", site.root)
    assert found == []
    assert {path.rsplit("/", 1)[1] for path in opened} >= {"collect.html", "publish.html", "check_data.html"}


def test_the_commit_that_publishes_starts_no_delivery_once_main_has_it(site: Site) -> None:
    site.controller.well["delivery", "main"] = subprocess.run(
        ["git", "rev-parse", "main"], cwd=site.origin, capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "update-ref", "refs/heads/main", "refs/heads/data/shop"], cwd=site.origin, check=True)
    built = site.controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert (built.result, steps(built)) == ("SUCCESS", [("changed", 0)]), built.console[-4000:]
    assert built.description == "published data only: nothing to build"
