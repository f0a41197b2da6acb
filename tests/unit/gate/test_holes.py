"""
The holes of other gates, one test each: what STATISTICS §1 and PEERS.md list, by the system that was seen to have it.

Where the other system's rule is known, the test writes it down (`elsewhere`), shows that it lets the bad model through or
keeps the good one out, and then that this gate does not.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ci.adapters.champions import FoundChampions
from ci.errors import BadInput, Outcome
from ci.gate import Policy, judge
from ci.gate.champion import Champion
from ci.gate.gate import gate
from ci.params import parse
from ci.report import Check, Found, worst
from tests.unit.gate import toy
from tests.unit.gate.test_gate import World
from tests.unit.gate.test_judge import check, pair


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    monkeypatch.setattr("ci.gate.gate.plots.draw", lambda *_: [])


def relative_change(candidate, baseline, least=0.05, *, higher=True):
    """Say, as mlflow 3.1.0's `MetricThreshold(min_relative_change=…)` does, whether a candidate passes."""
    change = (candidate - baseline) / baseline if higher else (baseline - candidate) / baseline
    return not change < least


def of_r2(value, y, rng):
    """Draw predictions of y with about this R²."""
    return y + rng.normal(0, math.sqrt((1 - value) * y.var()), len(y))


def test_a_nan_metric_passes_in_mlflow_3_1_0():
    assert relative_change(math.nan, 0.8), "elsewhere"
    y, ours, theirs = pair(2000, gain=1.5)
    ours[11] = math.nan
    for champion in (theirs, None):
        assert judge(y, ours, champion, task="binary").outcome is Outcome.REJECTED


def test_a_metric_that_is_nan_though_all_answers_are_finite_passes_nothing():
    # the overflow of a square: ±1e300 are numbers, their mean squared error is none
    y = np.random.default_rng(0).normal(size=500)
    verdict = judge(y, np.where(np.arange(500) == 3, 1e300, y), y + 0.5, task="regression")
    assert verdict.outcome is Outcome.REJECTED


def test_a_negative_metric_turns_a_relative_change_around_in_mlflow_3_1_0():
    assert relative_change(-2.0, -0.86), "elsewhere: much worse passes"
    assert not relative_change(0.5, -0.86), "elsewhere: much better fails"
    rng = np.random.default_rng(1)
    y = rng.normal(size=3000)
    champion, policy = of_r2(-0.86, y, rng), Policy(primary="r2", metrics={"r2": {"margin": 0.05}})
    worse, better = (judge(y, of_r2(r2, y, rng), champion, task="regression", policy=policy) for r2 in (-2.0, 0.5))
    assert worse.outcome is Outcome.REJECTED
    assert better.outcome is Outcome.PASSED
    assert check(better, "better r2").extra["champion"] == pytest.approx(-0.86, abs=0.1)


def test_a_negative_baseline_keeps_a_relative_margin_a_loss():
    # a share of a negative value must not become a demanded gain
    rng = np.random.default_rng(2)
    y = rng.normal(size=3000)
    policy = Policy(primary="r2", metrics={"r2": {"relative_margin": 0.1}})
    verdict = judge(y, of_r2(0.5, y, rng), of_r2(-0.86, y, rng), task="regression", policy=policy)
    assert verdict.metrics["r2"].margin == pytest.approx(0.086, abs=0.01)


def test_a_zero_baseline_divides_by_zero_in_mlflow_3_1_0():
    with pytest.raises(ZeroDivisionError):
        relative_change(0.1, 0.0)
    y = np.random.default_rng(0).normal(size=500)
    with pytest.raises(BadInput, match="a relative margin of a champion at zero is zero") as caught:
        judge(y, y + 0.1, y, task="regression")
    assert caught.value.hint == "declare an absolute margin"


def test_a_relative_tolerance_on_a_value_near_zero_flags_nothing_but_noise():
    # PEERS.md: relative tolerance on a near-zero mean flags a dataset's own first half
    rng = np.random.default_rng(3)
    y = rng.normal(size=4000)
    ours, theirs = y + rng.normal(0, 0.1, (2, 4000))
    assert abs((ours - y).mean() / (theirs - y).mean() - 1) > 0.05, "elsewhere"
    with pytest.raises(BadInput, match="bias: has no default margin"):
        judge(y, ours, theirs, task="regression", policy=Policy(metrics={"bias": {}}))
    policy = Policy(
        promote="non_inferior", reason="a test", metrics={"bias": {"margin": 0.02}, "mae": {"margin": 0.02}}
    )
    assert check(judge(y, ours, theirs, task="regression", policy=policy), "not worse bias").outcome is Found.PASSED


@pytest.mark.parametrize("seed", range(3))
def test_a_tie_promotes_where_the_rule_is_at_least_as_good(seed):
    # "candidate ≥ baseline" (the shape of MLOpsPython's and mlops-v2's comparison) promotes equal models
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 2000)
    theirs = np.where(y == 1, 0.8, 0.2) * 0.999 + rng.random(2000) * 1e-6
    ours = np.where(theirs > 0.5, theirs + 1e-4, theirs - 1e-4)
    policy = Policy(primary="accuracy", metrics={"accuracy": {"margin": 0.01}})
    verdict = judge(y, ours, theirs, task="binary", policy=policy)
    assert check(verdict, "better accuracy").observed == 0
    assert not verdict.passed


def test_luck_promotes_where_two_numbers_are_compared():
    # of two equally good models one is always ahead
    ahead = promoted = 0
    for seed in range(40):
        y, ours, theirs = pair(400, seed=seed)
        verdict = judge(y, ours, theirs, task="binary")
        ahead += verdict.metrics["auc"].gain.value > 0
        promoted += verdict.passed
    assert ahead >= 12, "elsewhere"
    assert promoted <= 3  # .025 of 40 is one


def test_a_missing_champion_metric_lets_anything_win_where_it_counts_as_zero():
    y, ours, theirs = pair(800, gain=2)
    verdict = judge(y, ours, theirs * 3, task="binary")  # no probabilities: log loss and Brier do not exist
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "cannot be compared" in check(verdict, "champion log_loss").message


def test_a_metric_that_the_challenger_lacks_is_not_left_out():
    y, ours, theirs = pair(800, gain=2)
    verdict = judge(y, ours * 3, theirs, task="binary")
    assert verdict.outcome is Outcome.REJECTED
    assert "cannot be measured" in check(verdict, "challenger log_loss").message


@pytest.mark.parametrize("copy", [True, False])
def test_a_model_compared_with_itself_is_no_promotion(copy, tmp_path):
    y, ours, _ = pair(500)
    verdict = judge(y, ours, ours.copy() if copy else ours, task="binary")
    assert (verdict.outcome, verdict.passed, verdict.release_needed) == (Outcome.PASSED, False, False)


def test_the_latest_model_in_the_registry_is_not_its_own_champion(tmp_path):
    # Azure's templates register first and then fetch "the latest" as the champion, which is the challenger
    world, good = World(tmp_path / "w"), toy.bundle(tmp_path / "good")
    result = world.judge(good, good)
    assert result.data["release_needed"] is False
    assert "nothing to decide" in result.message


def test_metrics_measured_elsewhere_are_never_compared(tmp_path):
    # a champion's stored metric is of another test set: here both bundles claim the opposite of what they are
    world = World(tmp_path / "w")
    good, poor = toy.bundle(tmp_path / "good", (1.5, 0.8)), toy.bundle(tmp_path / "poor", (0.4, 0.8))
    for folder, claim in ((good, 0.51), (poor, 0.99)):
        (folder / "evaluation.json").write_text(json.dumps({"metrics": {"auc": {"value": claim}}}), encoding="utf-8")
        toy.seal(folder)
    assert world.judge(good, poor).outcome is Outcome.PASSED
    assert world.judge(poor, good).outcome is Outcome.REJECTED


def test_no_champion_found_skips_verification_elsewhere_and_is_said_here(tmp_path):
    # PEERS.md: verification skipped when no matching service is found: fail-open
    world = World(tmp_path / "w")
    nobody = FoundChampions(1.0).find("toy", None)
    assert nobody.folder is None
    backwards = toy.bundle(tmp_path / "backwards", (-1.5, -0.8))
    found = gate(toy.project(world.root), backwards, nobody, toy.workplace(world.root, world.store))
    assert found.outcome is Outcome.REJECTED, "floors and skill remain"
    assert {item.name: item.outcome for item in found.checks}["champion"] is Found.WARNED


def test_a_champion_that_cannot_answer_is_no_first_release(tmp_path):
    stranger = toy.bundle(tmp_path / "stranger", numbers=("x1", "gone"))
    found = World(tmp_path / "w").judge(toy.bundle(tmp_path / "good"), stranger)
    assert found.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("off", "reason"),
    [
        ({"dry_run": True}, "dry_run: unknown key"),
        ({"enabled": False}, "enabled: unknown key"),
        ({"deploy_flag": 1}, "deploy_flag: unknown key"),
        ({"promote": "always"}, "promote"),
        ({"alpha": 1}, "alpha"),
        ({"min_gain": -1}, "min_gain"),
        ({"metrics": {"auc": {"compare": False}}}, "can never fail"),
    ],
)
def test_a_gate_that_is_shipped_switched_off(off, reason):
    # `dry_run` by default; `deploy_flag=1` after the verdict in an Azure template; `|| true` behind a test
    with pytest.raises(BadInput, match=reason):
        parse(Policy, off, "params.yaml: gate")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_an_empty_policy_is_switched_on(task):
    rng = np.random.default_rng(5)
    n = 3000
    y = rng.normal(size=n) if task == "regression" else rng.integers(0, 3 if task == "multiclass" else 2, n)
    sure = np.eye(3)[y] * 0.7 + 0.1 if task == "multiclass" else 0.2 + 0.6 * y
    noise = rng.dirichlet([1, 1, 1], n) if task == "multiclass" else rng.random(n)
    good, bad = 0.7 * sure + 0.3 * noise, 0.3 * sure + 0.7 * noise[::-1]
    assert judge(y, bad, good, task=task).outcome is Outcome.REJECTED
    assert judge(y, noise, task=task).outcome is not Outcome.PASSED


def test_a_rejection_is_neither_a_pass_nor_a_crash():
    # MLOpsPython#115, #151: a rejection looked like a failed build; #213: the accepted fix was to switch the gate off
    assert [outcome.exit_code for outcome in (Outcome.PASSED, Outcome.REJECTED, Outcome.INCONCLUSIVE)] == [0, 3, 4]


def test_no_checks_at_all_are_no_pass_and_unknown_outcomes_do_not_exist():
    # argo-rollouts#1329: terminated counted as successful; here an outcome is one of five words
    with pytest.raises(ValueError):
        Found("terminated")
    assert worst([Check("a", Found.PASSED, ""), Check("b", Found.INCONCLUSIVE, "")]) is Outcome.INCONCLUSIVE


def test_a_tiny_slice_vetoes_a_better_model_in_solar_forecast_ml_187():
    y, ours, theirs = pair(6000, gain=1.5)
    hamlet = np.arange(6000) < 60
    ours = np.where(hamlet, 1 - ours, ours)
    verdict = judge(y, ours, theirs, task="binary", slices={"hamlet": hamlet})
    assert verdict.passed
    assert {item.value: item.check.outcome for item in verdict.slices}["True"] is Found.SKIPPED


def test_a_regression_in_a_slice_is_hidden_by_the_mean_in_deepchecks_1572():
    y, ours, theirs = pair(12_000, gain=1.5)
    town = np.arange(12_000) % 8 == 0
    verdict = judge(y, np.where(town, 1 - ours, ours), theirs, task="binary", slices={"town": town})
    assert verdict.metrics["auc"].challenger.value > 0.5
    assert verdict.outcome is Outcome.REJECTED
    assert "town=True" in verdict.message


def test_which_value_decided_is_said():
    # flagger#1810, #1815; kayenta#744, #633, #521
    y, ours, theirs = pair(3000, gain=1.5)
    verdict = judge(y, theirs, ours, task="binary")
    found = check(verdict, verdict.message.split(":")[0])
    assert {"alpha", "mde", "margin", "p_value", "se", "method", "clusters"} <= set(found.extra)
    assert None not in (found.observed, found.limit, found.interval, found.n)


def test_alarms_do_not_grow_with_the_number_of_rows():
    # evidently#50, alibi-detect#197: with enough rows every difference is "significant"; a loss below the margin is none
    y, ours, theirs = pair(200_000, noise=0.2, gain=-0.01)
    policy = Policy(promote="non_inferior", reason="fresher data")
    verdict = judge(y, ours, theirs, task="binary", policy=policy)
    gain = verdict.metrics["auc"].gain
    assert gain.value < 0
    assert verdict.outcome is Outcome.PASSED


def test_any_http_body_saved_as_the_model_is_refused(tmp_path):
    (broken := toy.bundle(tmp_path / "html")).joinpath("model.onnx").write_bytes(b"<html>not found</html>")
    toy.seal(broken)
    with pytest.raises(BadInput, match="not a readable ONNX model"):
        World(tmp_path / "w").judge(broken, None)


def test_a_model_altered_after_it_was_judged_is_refused(tmp_path):
    good, poor = toy.bundle(tmp_path / "good"), toy.bundle(tmp_path / "poor", (0.4, 0.8))
    poor.joinpath("model.onnx").write_bytes(good.joinpath("model.onnx").read_bytes())
    with pytest.raises(BadInput, match="changed after sealing|sha256 is"):
        World(tmp_path / "w").judge(poor, good)


def test_where_a_champion_came_from_is_a_fact_of_the_report(tmp_path):
    world, good, poor = World(tmp_path / "w"), toy.bundle(tmp_path / "good"), toy.bundle(tmp_path / "poor", (0.4, 0.8))
    found = gate(
        toy.project(world.root), good, Champion(poor, "flights@v1.2.0"), toy.workplace(world.root, world.store)
    )
    assert "flights@v1.2.0" in found.facts["champion"]
