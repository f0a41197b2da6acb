"""Behaviour of models with several classes: whose probability is meant is declared, never guessed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ci.adapters.comparisons import FolderComparisons
from ci.errors import BadInput, Outcome
from ci.gate import behaviour
from ci.gate.gate import gate
from ci.gate.rules import resolve
from ci.model.bundles import Bundle
from ci.params import parse
from ci.params_gate import Behaviour, Policy
from ci.report import Found
from tests.unit.gate import toy

CLASSES = ["dry", "drizzle", "downpour"]
WEIGHTS = [[-1.5, 0.0, 1.5], [0.2, 0.0, -0.2]]  # x1 means rain: dry falls with it, downpour rises, drizzle does neither


@pytest.fixture
def bundle(tmp_path):
    return Bundle(toy.several(tmp_path / "bundle", WEIGHTS, CLASSES))


def asked(bundle, classes=CLASSES, **wanted):
    (check,) = behaviour.checks(bundle, toy.frame(300), Behaviour(**wanted), classes)
    return check


@pytest.mark.parametrize(
    ("of", "direction", "outcome"),
    [
        ("downpour", "up", "passed"),
        ("downpour", "down", "rejected"),
        ("dry", "down", "passed"),
        ("dry", "up", "rejected"),
        ("drizzle", "up", "rejected"),
        ("drizzle", "down", "rejected"),
    ],
)
def test_the_probability_of_the_named_class_must_move_the_right_way(bundle, of, direction, outcome):
    check = asked(bundle, monotonicities=[{"column": "x1", "of": of, "direction": direction, "step": 0.5}])
    assert check.outcome.value == outcome
    assert check.name == f"monotone x1 of {of}"
    rows = toy.frame(300)
    before, after = (
        Bundle(bundle.folder).score(f)[:, CLASSES.index(of)] for f in (rows, rows.assign(x1=rows.x1 + 0.5))
    )
    right = (after >= before) if direction == "up" else (after <= before)
    assert check.observed == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("row", "limits", "outcome"),
    [
        ({"x1": 4}, {"of": "downpour", "at_least": 0.9}, "passed"),
        ({"x1": 4}, {"of": "dry", "at_least": 0.9}, "rejected"),
        ({"x1": 4}, {"of": "dry", "at_most": 0.1}, "passed"),
        ({"x1": 4}, {"first_choice": "downpour"}, "passed"),
        ({"x1": -4}, {"first_choice": "downpour"}, "rejected"),
        ({"x1": 4}, {"of": "drizzle", "at_most": 0.2, "first_choice": "downpour"}, "passed"),
        ({"x1": 4}, {"of": "drizzle", "at_least": 0.2, "first_choice": "downpour"}, "rejected"),
        ({"x1": 4}, {"of": "drizzle", "at_most": 0.2, "first_choice": "dry"}, "rejected"),
    ],
)
def test_a_case_that_everybody_knows_may_name_a_probability_or_the_first_choice(bundle, row, limits, outcome):
    check = asked(bundle, golden=[{"row": row, "because": "x1 means rain", **limits}])
    assert check.outcome.value == outcome
    assert (limits.get("of") or limits["first_choice"]) in check.message


def test_the_first_choice_is_told_where_it_is_another(bundle):
    check = asked(bundle, golden=[{"row": {"x1": -4}, "first_choice": "downpour", "because": "a dry day"}])
    assert check.message.endswith("and chooses dry to a case that everybody knows (a dry day)")


def test_answers_that_are_no_numbers_are_rejected_not_chosen(tmp_path):
    broken = Bundle(toy.several(tmp_path / "nan", [[np.nan, 0, 0], [0, 0, 0]], CLASSES))
    for wanted in ({"first_choice": "dry"}, {"of": "dry", "at_most": 0.9}):
        check = asked(broken, golden=[{"row": {"x1": 1}, "because": "known", **wanted}])
        assert check.outcome is Found.REJECTED
    rule = {"column": "x1", "of": "dry", "direction": "down", "step": 1}
    assert asked(broken, monotonicities=[rule]).outcome is Found.REJECTED


def test_an_invariance_holds_for_every_class_at_once(bundle):
    assert asked(bundle, invariances=[{"column": "x2", "tolerance": 0.3}]).outcome is Found.PASSED
    assert asked(bundle, invariances=[{"column": "x1", "tolerance": 0.3}]).outcome is Found.REJECTED


@pytest.mark.parametrize(
    "wanted",
    [
        {"monotonicities": [{"column": "x1", "of": "hail", "direction": "up", "step": 1}]},
        {"golden": [{"row": {"x1": 1}, "first_choice": "hail", "because": "known"}]},
    ],
)
def test_a_class_that_the_model_does_not_know_is_bad_input(bundle, wanted):
    with pytest.raises(BadInput, match="the model has no class hail") as caught:
        asked(bundle, **wanted)
    assert caught.value.hint == "dry, drizzle, downpour"


@pytest.mark.parametrize(
    ("task", "wanted", "reason"),
    [
        ("multiclass", {"monotonicities": [{"column": "a", "direction": "up", "step": 1}]}, "needs `of`"),
        ("multiclass", {"golden": [{"row": {"a": 1}, "at_least": 0.5, "because": "known"}]}, "needs `of`"),
        ("binary", {"monotonicities": [{"column": "a", "of": "b", "direction": "up", "step": 1}]}, "has no classes"),
        ("regression", {"golden": [{"row": {"a": 1}, "first_choice": "b", "because": "known"}]}, "has no classes"),
    ],
)
def test_whose_probability_is_said_where_there_are_several_and_only_there(task, wanted, reason):
    with pytest.raises(BadInput, match=reason):
        resolve(Policy(behaviour=wanted), task)


def test_a_class_without_a_limit_is_refused_and_a_number_is_a_name():
    with pytest.raises(BadInput, match="of: dry is given no limit"):
        parse(
            Policy,
            {"behaviour": {"golden": [{"row": {"a": 1}, "of": "dry", "first_choice": "dry", "because": "why"}]}},
            "p",
        )
    rule = {"column": "a", "of": 3, "direction": "up", "step": 1}
    assert parse(Policy, {"behaviour": {"monotonicities": [rule]}}, "p").behaviour.monotonicities[0].of == "3"


@pytest.mark.parametrize("declared", [True, False])
def test_the_whole_gate_judges_several_classes_in_the_order_of_the_bundle(tmp_path, declared, monkeypatch):
    monkeypatch.setattr("ci.gate.gate.plots.draw", lambda *_: [])
    rows = toy.frame()
    x = rows[["x1", "x2"]].to_numpy()
    odds = np.exp(x @ np.asarray(WEIGHTS))
    share = (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)
    drawn = (np.random.default_rng(1).random((len(rows), 1)) > share).sum(axis=1)
    rows["wet"] = np.array(CLASSES)[drawn]
    policy = {
        "promote": "superior",
        "behaviour": {
            "monotonicities": [{"column": "x1", "of": "downpour", "direction": "up", "step": 1}],
            "golden": [{"row": {"x1": 4}, "first_choice": "downpour", "because": "x1 means rain"}],
        },
    }
    root = toy.checkout(tmp_path / "w", gate=json.dumps(policy), rows=rows)
    contract = root / "projects/toy/contract.yaml"
    text = contract.read_text(encoding="utf-8").replace("task: binary", "task: multiclass")
    text = text.replace("wet: {type: boolean", "wet: {type: string")
    contract.write_text(text, encoding="utf-8")
    order = CLASSES if declared else sorted(CLASSES)
    turned = [[row[CLASSES.index(name)] for name in order] for row in WEIGHTS]
    ours = toy.several(tmp_path / "ours", turned, order, declared=declared)
    theirs = toy.several(tmp_path / "theirs", np.array(turned) * 0.2, order, declared=declared)
    frame = toy.frame(400, seed=99).assign(wet="dry")
    frame.to_parquet(root / "data/toy/prepared/train.parquet", index=False)
    found = gate(toy.project(root), ours, toy.champion(theirs), toy.workplace(root, FolderComparisons(root / "ledger")))
    outcomes = {check.name: check.outcome for check in found.checks}
    assert outcomes["monotone x1 of downpour"] is outcomes["golden row 1"] is Found.PASSED
    assert outcomes["better log_loss"] is Found.PASSED, found.message
    assert found.outcome is Outcome.PASSED, found.message
