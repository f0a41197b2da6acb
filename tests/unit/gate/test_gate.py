"""The gate on a toy project: two sealed bundles, one test set, the ledger in a folder."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ci.adapters.comparisons import FolderComparisons
from ci.errors import BadInput, Outcome
from ci.gate.champion import Champion
from ci.gate.explain import explained
from ci.gate.gate import gate
from ci.report import Found
from tests.unit.gate import toy


class World:
    """One checkout with a ledger."""

    def __init__(self, root, **options):
        self.root = toy.checkout(root, **options)
        self.store = FolderComparisons(root / "ledger")

    def judge(self, challenger, champion, **changes):
        work = replace(toy.workplace(self.root, self.store), **changes)
        return gate(toy.project(self.root), challenger, toy.champion(champion), work)


@pytest.fixture(autouse=True)
def without_pictures(request, monkeypatch):
    """Drawing takes longer than all else; one test looks at what is drawn."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("ci.gate.gate.plots.draw", lambda *_: [])


@pytest.fixture
def pictures():
    """Draw them in this test."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def good(tmp_path):
    return toy.bundle(tmp_path / "good", (1.5, 0.8))


@pytest.fixture
def poor(tmp_path):
    return toy.bundle(tmp_path / "poor", (0.4, 0.8))


def outcomes(result):
    return {check.name: check.outcome for check in result.checks}


def test_the_better_model_passes_and_the_deciding_check_is_in_the_first_line(world, good, poor):
    result = world.judge(good, poor)
    assert result.outcome is Outcome.PASSED
    assert result.message.startswith("better auc: ")
    (check,) = [check for check in result.checks if check.name == "better auc"]
    assert check.interval[0] > check.limit == 0
    assert check.n == 2400
    assert check.extra["clusters"] == toy.DAYS
    assert check.extra["mde"] > 0
    assert "jackknife" in check.extra["method"]
    assert 0 < check.extra["disagreement"] < 1


def test_the_worse_model_is_rejected(world, good, poor):
    result = world.judge(poor, good)
    assert result.outcome is Outcome.REJECTED
    assert result.message.startswith("better auc: worse: ")
    assert result.data["release_needed"] is True


def test_the_same_bundle_is_nothing_to_decide_and_spends_nothing(world, good):
    result = world.judge(good, good)
    assert result.outcome is Outcome.PASSED
    assert "nothing to decide, no release needed" in result.message
    assert result.data["release_needed"] is False
    assert not list(world.store.root.rglob("*.json"))


def test_a_bundle_with_the_same_answers_is_nothing_to_decide(world, good, tmp_path):
    twin = toy.bundle(tmp_path / "twin", (1.5, 0.8), train_end="2024-02-20T00:00:00")
    result = world.judge(twin, good)
    assert result.data["challenger"] != result.data["champion"]
    assert "answer all 2,400 rows alike" in result.message
    assert result.outcome is Outcome.PASSED
    assert not list(world.store.root.rglob("*.json"))


def test_a_first_release_says_so_and_is_held_to_skill(world, good, tmp_path):
    result = world.judge(good, None)
    assert result.outcome is Outcome.PASSED
    assert result.message.startswith("first release, floors and skill only; skill: ")
    noise = world.judge(toy.bundle(tmp_path / "backwards", (-1.5, -0.8)), None)
    assert noise.outcome is Outcome.REJECTED
    assert noise.message.startswith("skill: ")


def test_a_model_that_learned_nothing_is_no_first_release(world, tmp_path):
    result = world.judge(toy.bundle(tmp_path / "noise", (0.001,), numbers=("booth",)), None)
    assert result.outcome is not Outcome.PASSED
    assert result.message.startswith("skill: auc is no")


def test_nobody_named_a_champion_is_said(world, good):
    source = Champion(None, "no --champion was named", asked_for=False)
    result = gate(toy.project(world.root), good, source, toy.workplace(world.root, world.store))
    assert outcomes(result)["champion"] is Found.WARNED
    assert result.outcome is Outcome.PASSED


def test_nan_answers_are_rejected_whatever_the_champion(world, poor, tmp_path):
    # a NaN metric passes mlflow's relative thresholds (PEERS.md)
    broken = toy.bundle(tmp_path / "nan", (np.nan, 0.8))
    for other in (poor, None):
        result = world.judge(broken, other)
        assert result.outcome is Outcome.REJECTED
        assert "2,400 of 2,400 answers of the challenger are NaN" in result.message


def test_a_champion_with_nan_is_not_beaten_but_looked_at(world, good, tmp_path):
    # a missing champion metric lets anything win elsewhere
    result = world.judge(good, toy.bundle(tmp_path / "nan", (np.nan, 0.8)))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "answers of the champion" in result.message


def test_an_old_champion_with_other_features_is_compared(world, good, tmp_path):
    old = toy.bundle(tmp_path / "old", (0.4,), numbers=("x2",))
    result = world.judge(good, old)
    assert result.outcome is Outcome.PASSED
    assert "better auc" in outcomes(result)


def test_a_champion_that_cannot_score_is_told_not_skipped(tmp_path, good):
    stranger = toy.bundle(tmp_path / "stranger", (1.0, 1.0), numbers=("x1", "gone"))
    result = World(tmp_path / "strict").judge(good, stranger)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.message.startswith("champion: cannot score today's rows: the rows have no column gone")
    lenient = World(tmp_path / "lenient", gate="{champion_unusable: first_release}").judge(good, stranger)
    assert lenient.outcome is Outcome.PASSED
    assert outcomes(lenient)["champion"] is Found.WARNED


def test_rows_that_a_server_would_refuse_are_told(tmp_path, good, poor):
    rows = toy.frame()
    rows.loc[:9, "field"] = None
    found = {check.name: check for check in World(tmp_path / "w", rows=rows).judge(good, poor).checks}
    assert found["refusals of the challenger"].observed == found["refusals of the champion"].observed == 10
    assert found["refusals of the champion"].outcome is Found.WARNED


def test_a_changed_bundle_is_refused(world, good, poor):
    (poor / "model.onnx").write_bytes(toy.graph((9.0, 9.0)))
    with pytest.raises(BadInput, match=r"poor/model\.onnx: sha256 is"):
        world.judge(good, poor)


def test_the_second_look_is_answered_from_the_ledger(world, good, poor, pictures):
    first, second = world.judge(good, poor), world.judge(good, poor)
    assert len(list(world.store.root.rglob("*.json"))) == 1
    assert second.data["answered_from_ledger"] is True
    assert second.message == first.message + "; judged on 2024-04-01 00:00, nothing spent"
    assert [(c.name, c.outcome) for c in second.checks] == [(c.name, c.outcome) for c in first.checks]
    assert [t.title for t in second.tables] == [t.title for t in first.tables]
    assert [p.path.name for p in second.pictures] == ["intervals.png", "calibration.png"]
    assert all(picture.path.stat().st_size > 1000 for picture in second.pictures)


def test_each_new_challenger_spends_a_share(world, good, poor, tmp_path):
    world.judge(good, poor)
    third = world.judge(toy.bundle(tmp_path / "third", (1.4, 0.9)), poor)
    assert third.data["comparison"] == 2
    assert third.data["alpha"] == pytest.approx(0.05 / 6)
    told = explained(toy.project(world.root), world.root / "data/toy/prepared", world.store)
    assert told.data["comparisons"] == 2
    assert told.data["left"] == pytest.approx(0.05 / 3)
    assert told.data["next"] == pytest.approx(0.05 / 12)
    assert [table.title for table in told.tables][-1] == "What a fresh test period would change"


def test_another_policy_is_another_comparison(tmp_path, good, poor):
    World(tmp_path / "one").judge(good, poor)
    other = World(tmp_path / "one", gate="{min_gain: 0.001}")
    assert other.judge(good, poor).data["comparison"] == 2


def test_moving_the_period_by_a_day_is_told(world, good, poor):
    world.judge(good, poor)
    moved = toy.frame().iloc[1:]
    prepared = world.root / "data/toy/prepared"
    moved.to_parquet(prepared / "test.parquet", index=False)
    result = world.judge(good, poor)
    assert result.data["comparison"] == 1
    assert outcomes(result)["fresh test period"] is Found.WARNED


def test_a_challenger_that_learned_from_test_days_is_rejected(world, poor, tmp_path):
    result = world.judge(toy.bundle(tmp_path / "late", (1.5, 0.8), train_end="2024-03-10T00:00:00"), poor)
    assert result.outcome is Outcome.REJECTED
    assert outcomes(result)["time order of the challenger"] is Found.REJECTED


def test_too_few_days_conclude_nothing(tmp_path, good, poor):
    rows = toy.frame()
    few = rows[rows["at"].dt.day <= 8]
    for champion in (poor, None):
        result = World(tmp_path / f"few{champion}", rows=few).judge(good, champion)
        assert result.outcome is Outcome.INCONCLUSIVE
        assert result.message.startswith("clusters: 8 are too few")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.iloc[:0], "empty"),
        (lambda rows: rows[rows["wet"]], "a single class"),
        (lambda rows: rows.drop(columns="wet"), "no column wet"),
    ],
)
def test_a_test_set_that_tells_nothing_is_bad_input(tmp_path, good, poor, change, message):
    with pytest.raises(BadInput, match=message):
        World(tmp_path / "world", rows=change(toy.frame())).judge(good, poor)


def test_the_card_carries_seal_and_verdict(world, good, poor):
    world.judge(good, poor)
    card = (world.root / "reports/toy/MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith("# toy: Will it rain on the fair?")
    assert "Passed: better auc: " in card
    assert "| better auc | passed |" in card


def test_tables_tell_changed_decisions_and_where_they_disagree(world, good, poor):
    tables = {table.title: table for table in world.judge(good, poor).tables}
    changed = tables["Changed decisions"]
    assert {row[3] for row in changed.rows} == {"better", "worse"}
    assert "become right" in changed.note
    apart = [row[-1] for row in tables["Where they disagree most"].rows]
    assert apart == sorted(apart, reverse=True)
    damages = [row[-2] for row in tables["Slices"].rows]
    assert damages == sorted(damages, reverse=True)
    assert sum(damages) == pytest.approx(
        -dict((r[0], r[5]) for r in tables["Slices"].rows)["field=north"] * 0.5, abs=0.05
    )


def test_the_ledger_line_is_json_without_nan(world, good, poor):
    world.judge(good, poor)
    (path,) = world.store.root.rglob("*.json")
    held = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert held["number"] == 1
    assert held["outcome"] == "passed"


def test_an_audit_set_vetoes(tmp_path, good, poor):
    # the same columns, but x1 now works the other way round: what the test set could not see
    audit = toy.frame(seed=5).assign(x1=lambda rows: -rows["x1"])
    audit.to_parquet(tmp_path / "audit.parquet", index=False)
    result = World(tmp_path / "w", gate=f"{{audit: '{tmp_path / 'audit.parquet'}'}}").judge(good, poor)
    assert result.outcome is Outcome.REJECTED
    assert result.message.startswith("audit not worse auc: worse")
