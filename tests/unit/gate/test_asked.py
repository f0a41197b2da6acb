"""What is asked beside the statistics: behaviour, leakage, cost."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ci.errors import BadInput
from ci.gate import behaviour, cost, leakage
from ci.gate.heldout import HeldOut
from ci.model.bundles import Bundle
from ci.params_gate import Behaviour, Cost
from ci.report import Found
from tests.unit.gate import toy


@pytest.fixture
def bundle(tmp_path):
    return Bundle(toy.bundle(tmp_path / "bundle", (1.5, -0.8)))


def asked(bundle, **wanted):
    (check,) = behaviour.checks(bundle, toy.frame(300), Behaviour(**wanted))
    return check


@pytest.mark.parametrize(
    ("column", "to", "outcome"),
    [
        ("field", None, "passed"),
        ("field", ["south", "east"], "passed"),
        ("x1", None, "rejected"),
        ("x2", [0, 3], "rejected"),
    ],
)
def test_an_answer_must_not_depend_on_what_does_not_matter(bundle, column, to, outcome):
    check = asked(bundle, invariances=[{"column": column, "to": to}])
    assert check.outcome.value == outcome
    assert check.n == 300
    assert (check.extra["largest"] == 0) is (outcome == "passed")


@pytest.mark.parametrize(
    ("column", "direction", "outcome"),
    [("x1", "up", "passed"), ("x1", "down", "rejected"), ("x2", "down", "passed"), ("x2", "up", "rejected")],
)
def test_an_answer_must_move_the_right_way(bundle, column, direction, outcome):
    check = asked(bundle, monotonicities=[{"column": column, "direction": direction, "step": 0.5}])
    assert check.outcome.value == outcome
    assert check.observed == (1.0 if outcome == "passed" else 0.0)


@pytest.mark.parametrize(
    ("row", "limits", "outcome"),
    [
        ({"x1": 5}, {"at_least": 0.9}, "passed"),
        ({"x1": 5}, {"at_most": 0.9}, "rejected"),
        ({"x1": -5, "x2": 0}, {"at_least": 0.0001, "at_most": 0.1}, "passed"),
    ],
)
def test_a_case_that_everybody_knows(bundle, row, limits, outcome):
    check = asked(bundle, golden=[{"row": row, "because": "x1 means rain", **limits}])
    assert check.outcome.value == outcome
    assert "x1 means rain" in check.message


def test_a_golden_row_that_answers_nan_is_rejected(tmp_path):
    broken = Bundle(toy.bundle(tmp_path / "nan", (np.nan, 1.0)))
    assert asked(broken, golden=[{"row": {"x1": 1}, "at_most": 0.9, "because": "known"}]).outcome is Found.REJECTED
    assert asked(broken, invariances=[{"column": "field"}]).outcome is Found.REJECTED


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"invariances": [{"column": "gone"}]}, "invariances: the model has no input gone"),
        ({"monotonicities": [{"column": "field", "direction": "up", "step": 1}]}, "field is not a number"),
        ({"golden": [{"row": {"gone": 1}, "at_least": 0.5, "because": "why"}]}, "golden: the model has no input gone"),
        ({"golden": [{"row": {"x1": "a"}, "at_least": 0.5, "because": "why"}]}, "x1: not a number"),
    ],
)
def test_a_question_that_cannot_be_asked_is_bad_input(bundle, wanted, message):
    with pytest.raises(BadInput, match=message):
        asked(bundle, **wanted)


def costs(bundle, **limits):
    return {check.name: check for check in cost.checks(bundle, toy.frame(60), Cost(**limits))}


def test_budgets_are_held(bundle):
    found = costs(bundle)
    assert {check.outcome for check in found.values()} == {Found.PASSED}
    assert 0 < found["latency"].observed < 50
    assert found["size"].observed == pytest.approx(sum(p.stat().st_size for p in bundle.folder.iterdir()) / 1e6)
    assert costs(bundle, size_mb=0.0001)["size"].outcome is Found.REJECTED
    assert costs(bundle, p99_ms=0.000001)["latency"].outcome is Found.REJECTED


def test_a_bundle_that_no_longer_answers_as_sealed_is_rejected(tmp_path):
    folder = toy.bundle(tmp_path / "bundle")
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    golden["outputs"][1] += 0.01
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    toy.seal(folder)
    found = costs(Bundle(folder))["parity"]
    assert found.outcome is Found.REJECTED
    assert found.observed == pytest.approx(0.01, abs=1e-4)


def leaks(root, bundle, **options):
    toy.checkout(root, **options)
    project = toy.project(root)
    test = HeldOut(root / "data/toy/prepared/test.parquet", project.contract)
    return {check.name: check for check in leakage.checks(bundle, project, test)}


def test_an_honest_model_leaks_nothing(tmp_path, bundle):
    found = leaks(tmp_path / "w", bundle)
    assert {check.outcome for check in found.values()} == {Found.PASSED}
    assert set(found) == {"columns", "time order of the challenger", "duplicates", "single feature"}


def test_a_column_that_is_known_only_afterwards_is_rejected(tmp_path):
    late = Bundle(toy.bundle(tmp_path / "late", numbers=("x1", "noted_later")))
    assert leaks(tmp_path / "w", late)["columns"].outcome is Found.REJECTED


def test_a_banned_column_is_rejected(tmp_path, bundle):
    found = leaks(tmp_path / "w", bundle, gate="{leakage: {banned: [x2]}}")["columns"]
    assert found.outcome is Found.REJECTED
    assert "x2" in found.message


def test_test_rows_that_were_trained_on_are_told_and_then_rejected(tmp_path, bundle):
    trained = toy.frame(400, seed=99)
    few, many = toy.frame(1000), toy.frame(1000)
    few.iloc[:100] = trained.iloc[:100].to_numpy()
    many.iloc[:400] = trained.iloc[:400].to_numpy()
    outcomes = []
    for place, rows in enumerate((few, many)):
        check = leaks(tmp_path / str(place), bundle, rows=rows.astype(toy.frame(2).dtypes))["duplicates"]
        outcomes.append((check.outcome, round(check.observed, 2)))
    assert outcomes == [(Found.WARNED, 0.1), (Found.REJECTED, 0.4)]


def test_a_feature_that_is_the_answer_is_rejected_unless_vouched_for(tmp_path, bundle):
    rows = toy.frame()
    rows["x2"] = rows["wet"] * 2.0 + np.random.default_rng(0).normal(0, 0.1, len(rows))
    found = leaks(tmp_path / "w", bundle, rows=rows)["single feature"]
    assert found.outcome is Found.REJECTED
    assert "x2" in found.message
    (tmp_path / "w/projects/toy/params.yaml").write_text(
        (toy.PARAMS % "{}").replace("evaluate: {}", "evaluate: {trusted: [x2]}"), encoding="utf-8"
    )
    project = toy.project(tmp_path / "w")
    test = HeldOut(tmp_path / "w/data/toy/prepared/test.parquet", project.contract)
    assert {c.name: c.outcome for c in leakage.checks(bundle, project, test)}["single feature"] is Found.WARNED
