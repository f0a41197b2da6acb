"""Without Jenkins: this checkout learns anew, as processes; and what a source says of newer data."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from ci.adapters.freshness import SourceData, as_of
from ci.adapters.retraining import Options, run_here
from ci.adapters.starters import HereStarter
from ci.collecting.edits import as_of_in, moved
from ci.errors import BadInput, Outcome, Unavailable
from ci.project import find
from ci.retraining.cases import Attempt
from ci.retraining.interface import Wanted
from tests import shop

AUGUST = date(2024, 8, 1)
WANTED = Wanted("shop", "a" * 64, AUGUST, "drift")
ATTEMPT = Attempt(request="a" * 64, at=datetime(2026, 11, 24, tzinfo=UTC), as_of=AUGUST)
STEP = """\
import pathlib, sys
with pathlib.Path("ran.txt").open("a") as ran:
    ran.write({name!r} + " " + [l for l in pathlib.Path("projects/shop/params.yaml").open() if l.startswith("as_of")][0])
sys.exit({code})
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose steps only say that they ran; `codes` are what they end with."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps/__init__.py").touch()  # or the real ones are found first
    (tmp_path / "projects/shop").mkdir(parents=True)
    (tmp_path / "projects/shop/params.yaml").write_text('# before\nas_of: "2024-05-01"  # moved by hand\ncheck: {}\n')
    monkeypatch.chdir(tmp_path)

    def ends(**codes):
        for name in ("repro", "gate", "package"):
            (tmp_path / f"steps/{name}.py").write_text(STEP.format(name=name, code=codes.get(name, 0)))
        return tmp_path

    return ends


def go(attempt=ATTEMPT):
    kept = []
    return HereStarter(lambda _: None).go_on(WANTED, attempt, kept.append, wait=True), kept


def test_as_of_moves_and_the_three_steps_run(checkout):
    root = checkout()
    ended, kept = go()
    assert (ended.status, kept[0].status, kept[0].former) == ("passed", "running", date(2024, 5, 1))
    assert [line.split()[0] for line in (root / "ran.txt").read_text().splitlines()] == ["repro", "gate", "package"]
    text = (root / "projects/shop/params.yaml").read_text()
    assert text == '# before\nas_of: "2024-08-01"  # moved by hand\ncheck: {}\n'


@pytest.mark.parametrize(
    ("codes", "status", "ran"),
    [({"gate": 3}, "rejected", 2), ({"gate": 4}, "inconclusive", 2), ({"repro": 2}, "failed", 1), ({"package": 1}, "failed", 3)],
)  # fmt: skip
def test_what_does_not_pass_ends_it_and_as_of_goes_back(checkout, codes, status, ran):
    root = checkout(**codes)
    ended, _ = go()
    (name,) = codes
    assert (ended.status, ended.told.partition(":")[0]) == (status, f"steps.{name} ended with {codes[name]}")
    assert len((root / "ran.txt").read_text().splitlines()) == ran
    assert 'as_of: "2024-05-01"' in (root / "projects/shop/params.yaml").read_text()


def test_a_run_that_died_still_knows_where_as_of_came_from(checkout):
    root = checkout(repro=5)
    (root / "projects/shop/params.yaml").write_text('as_of: "2024-08-01"\n')  # as a killed run leaves it
    with pytest.raises(Unavailable):
        go(ATTEMPT.model_copy(update={"former": date(2024, 5, 1), "status": "running"}))
    assert (root / "projects/shop/params.yaml").read_text() == 'as_of: "2024-05-01"\n'


def test_params_in_which_as_of_cannot_be_moved_are_refused():
    assert moved("as_of: '2024-05-01'\n", AUGUST, "p") == "as_of: '2024-08-01'\n"
    for text in ("", 'x: {as_of: "2024-05-01"}\n', 'as_of: "2024-05-01"\nas_of: "2024-05-02"\n', "as_of: soon\n"):
        with pytest.raises(BadInput, match="p: no line of its own sets as_of"):
            as_of_in(text, "p")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """The shop with rows from January to April, in Git, where a release was built as of 2024-03-01."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / ".cache"))
    shop.shop(tmp_path, params={"as_of": "2024-03-01"})
    shop.visits().to_csv("rows.csv", index=False)
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for command in (("init", "-q"), ("add", "projects"), ("commit", "-q", "-m", "built")):
        subprocess.run([*git, *command], check=True, env=quiet)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    event = SimpleNamespace(commit=head)
    history = SimpleNamespace(registered=lambda version: event if version == "1.0.0" else None)
    shop.shop(tmp_path, params={"as_of": "2024-04-01"})  # what the checkout says now does not matter
    return SourceData(find("shop"), history)


@pytest.mark.parametrize(("until", "rows"), [("2024-04-01", 300), ("2024-05-01", 600), ("2030-01-01", 600)])
def test_rows_that_arrived_since_the_releases_as_of_are_counted(source, until, rows):
    fresh = source.fresh("1.0.0", date.fromisoformat(until))
    assert (fresh.former, fresh.rows) == (date(2024, 3, 1), rows)


def test_nothing_is_new_before_the_releases_as_of_and_of_an_unknown_release(source):
    assert source.fresh("1.0.0", date(2024, 3, 1)).rows == 0
    assert source.fresh("9.9.9", AUGUST).former is None


def test_as_of_is_today_if_nothing_is_said():
    assert as_of(None, AUGUST) == AUGUST
    assert as_of("2024-01-02", AUGUST) == date(2024, 1, 2)
    with pytest.raises(BadInput, match="is not a date"):
        as_of("yesterday", AUGUST)


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [({}, Outcome.PASSED), ({"gate": 3}, Outcome.REJECTED), ({"gate": 4}, Outcome.INCONCLUSIVE), ({"repro": 2}, Outcome.BAD_INPUT)],
)  # fmt: skip
def test_the_job_itself_ends_as_its_steps_did(checkout, codes, outcome):
    checkout(**codes)
    told = run_here(SimpleNamespace(name="shop"), Options("production", "2024-08-01", here=True), lambda _: None)
    assert told.outcome is outcome
    assert told.message.startswith("shop as of 2024-08-01: ")
