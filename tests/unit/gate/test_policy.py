"""The policy: an empty one protects, an impossible one is refused with the reason."""

from __future__ import annotations

import pytest

from ci.contract import Task
from ci.errors import BadInput
from ci.gate.rules import COMPARED, resolve
from ci.model.evaluate import primary
from ci.params import parse
from ci.params_gate import Policy


def policy(**given):
    return parse(Policy, given, "params.yaml: gate")


@pytest.mark.parametrize("task", list(Task))
def test_an_empty_policy_compares_the_metrics_of_the_task(task):
    rules = resolve(Policy(), task)
    assert rules.primary == primary(task)
    assert [rule.metric.name for rule in rules.compared] == list(COMPARED[task])
    assert all(rule.margin_at(2.0) > 0 for rule in rules.compared)


def test_the_margins_are_those_of_statistics():
    rules = resolve(Policy(), "binary").metrics
    assert rules["auc"].margin_at(0.8) == 0.005
    assert rules["log_loss"].margin_at(0.5) == pytest.approx(0.005)


def test_a_declared_margin_replaces_the_default():
    rules = resolve(policy(metrics={"auc": {"margin": 0.02}, "log_loss": {"relative_margin": 0.05}}), "binary").metrics
    assert rules["auc"].margin_at(0.8) == 0.02
    assert rules["log_loss"].margin_at(0.4) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("given", "task", "reason"),
    [
        ({"metrics": {"auc": {"floor": 1.0}}}, "binary", r"gate\.metrics\.auc\.floor: can never pass"),
        ({"metrics": {"auc": {"floor": 0.0}}}, "binary", r"gate\.metrics\.auc\.floor: can never fail"),
        ({"metrics": {"log_loss": {"floor": 0.0}}}, "binary", "can never pass: no log_loss is better than 0"),
        ({"metrics": {"brier": {"floor": 2}}}, "binary", "can never fail"),
        ({"metrics": {"r2": {"floor": 1.5}}}, "regression", "can never pass"),
        ({"metrics": {"mae": {"floor": -3}}}, "regression", "can never pass"),
        ({"metrics": {"mcc": {"floor": -1}}}, "binary", "can never fail: no mcc is worse than -1"),
        ({"metrics": {"auc": {"floor": float("nan")}}}, "binary", "not a number"),
        ({"metrics": {"auc": {"margin": 1.0}}}, "binary", "margin: can never fail"),
        ({"metrics": {"kappa": {"margin": 2}}}, "multiclass", "margin: can never fail"),
        ({"min_gain": 1.0}, "binary", "min_gain: can never pass"),
        ({"metrics": {"bias": {}}}, "regression", "bias: has no default margin"),
        ({"metrics": {"mae": {}}}, "binary", "mae: does not fit a binary task"),
        ({"metrics": {"acu": {}}}, "binary", "acu: unknown metric"),
        ({"primary": "r2"}, "binary", "r2: does not fit"),
        (
            {"behaviour": {"invariances": [{"column": "a", "tolerance": 1}]}},
            "binary",
            r"invariances\.0\.tolerance: can never fail",
        ),
        (
            {"behaviour": {"golden": [{"row": {"a": 1}, "at_least": 1.1, "because": "all know"}]}},
            "binary",
            r"golden\.0: can never pass",
        ),
        (
            {"behaviour": {"golden": [{"row": {"a": 1}, "at_least": 0, "because": "all know"}]}},
            "binary",
            r"golden\.0: can never fail",
        ),
    ],
)
def test_what_can_never_pass_or_never_fail_is_refused(given, task, reason):
    with pytest.raises(BadInput, match=reason):
        resolve(policy(**given), task)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"promote": "non_inferior"}, "non_inferior needs a reason"),
        ({"promote": "non_inferior", "reason": "fresher", "min_gain": 0.1}, "min_gain belongs to superior"),
        ({"promote": "always"}, "promote"),
        ({"min_gian": 0.1}, r"min_gian: unknown key \(did you mean min_gain\?\)"),
        ({"alpha": 0.5}, "alpha"),
        ({"alpha": 0}, "alpha"),
        ({"metrics": {"auc": {"margin": 0}}}, "margin"),
        ({"metrics": {"auc": {"margin": -0.1}}}, "margin"),
        ({"metrics": {"auc": {"margin": 0.1, "relative_margin": 0.1}}}, "which of the two"),
        ({"metrics": {"auc": {"compare": False}}}, "can never fail: it is neither compared nor has it a floor"),
        ({"primary": "auc", "metrics": {"auc": {"compare": False, "floor": 0.6}}}, "must be compared"),
        ({"costs": [0, 0]}, "costs"),
        ({"costs": [-1, 1]}, "costs"),
        ({"behaviour": {"golden": [{"row": {"a": 1}, "because": "all know"}]}}, "can never fail"),
        (
            {"behaviour": {"golden": [{"row": {"a": 1}, "at_least": 2, "at_most": 1, "because": "why"}]}},
            "can never pass",
        ),
        ({"behaviour": {"invariances": [{"column": "a", "share": 0}]}}, "share"),
        ({"cost": {"p99_ms": 0}}, "p99_ms"),
    ],
)
def test_the_schema_names_key_and_fact(given, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        policy(**given)
    assert str(caught.value).startswith("params.yaml: gate: ")


def test_a_relative_margin_of_nothing_is_refused():
    # a zero baseline divides by zero elsewhere (PEERS.md)
    rule = resolve(Policy(), "regression").metrics["mae"]
    with pytest.raises(BadInput, match="a relative margin of a champion at zero is zero"):
        rule.margin_at(0.0)
    assert rule.margin_at(-4.0) == pytest.approx(0.04)
