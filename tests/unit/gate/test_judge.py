"""The judge on arrays: the rules of STATISTICS §1, the holes of other gates, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from ci.errors import BadInput, Outcome
from ci.gate import Policy, judge
from ci.report import Found, worst


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def pair(n=4000, gain=0.0, seed=0, noise=0.9):
    """Draw labels, and the calibrated answers of two models; the challenger sees through less noise by exp(-gain)."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    y = (rng.random(n) < sigmoid(1.5 * signal)).astype(int)
    return y, *(seen(signal, noise * np.exp(-less), rng) for less in (gain, 0.0))


def seen(signal, noise, rng):
    """Return P(y = 1 | signal + noise), by the probit approximation of a logit's mean (MacKay 1992)."""
    guess = (signal + noise * rng.normal(size=len(signal))) / (1 + noise**2)
    return sigmoid(1.5 * guess / np.sqrt(1 + np.pi / 8 * 1.5**2 * noise**2 / (1 + noise**2)))


def check(verdict, name):
    (found,) = [item for item in verdict.checks if item.name == name]
    return found


NON_INFERIOR = Policy(promote="non_inferior", reason="fresher data")


def test_equal_models_are_not_promoted_under_superior():
    y, ours, theirs = pair(20_000)
    verdict = judge(y, ours, theirs, task="binary")
    assert verdict.outcome is not Outcome.PASSED
    assert not verdict.passed


def test_a_clear_gain_passes_even_where_the_test_set_is_noisy():
    # ADR 0011: power decides only what the interval leaves open
    y, ours, theirs = pair(1500, gain=1.5)
    verdict = judge(y, ours, theirs, task="binary")
    found = check(verdict, "better auc")
    assert verdict.passed
    assert found.extra["mde"] > 2 * found.extra["margin"]
    assert found.interval[0] > 0


def test_an_open_question_is_inconclusive_on_a_small_test_set_and_rejected_on_a_large_one():
    small, large = (judge(*pair(n, seed=3), task="binary") for n in (400, 60_000))
    assert check(small, "better auc").outcome is Found.INCONCLUSIVE
    assert check(large, "better auc").outcome is Found.REJECTED
    assert "not better" in check(large, "better auc").message


def test_not_worse_is_enough_only_with_a_reason():
    y, ours, theirs = pair(60_000, noise=0.1, seed=1)
    assert judge(y, ours, theirs, task="binary").outcome is Outcome.REJECTED
    verdict = judge(y, ours, theirs, task="binary", policy=NON_INFERIOR)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.message.startswith("not worse auc: ")


def test_the_share_of_the_error_shrinks_with_each_comparison():
    y, ours, theirs = pair(3000, gain=0.3)
    first, tenth = (judge(y, ours, theirs, task="binary", comparison=k) for k in (1, 10))
    assert first.alpha == pytest.approx(0.025)
    assert tenth.alpha == pytest.approx(0.05 / 110)
    assert check(tenth, "better auc").interval[0] < check(first, "better auc").interval[0]


def test_a_gain_in_auc_does_not_excuse_broken_probabilities():
    y, ours, theirs = pair(6000, gain=1.5)
    verdict = judge(y, ours**4, theirs, task="binary")
    assert check(verdict, "better auc").outcome is Found.PASSED
    assert verdict.outcome is Outcome.REJECTED
    assert verdict.message.startswith("not worse log_loss: worse")


def test_a_perfect_champion_is_a_question_of_margins_not_a_crash():
    y = np.random.default_rng(0).normal(size=500)
    with pytest.raises(BadInput, match="champion at zero"):
        judge(y, y + 0.1, y, task="regression")
    policy = Policy(metrics={"mae": {"margin": 0.01}, "rmse": {"margin": 0.01}})
    assert judge(y, y + 0.1, y, task="regression", policy=policy).outcome is Outcome.REJECTED


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_rejected(bad):
    y, ours, theirs = pair(500, gain=2)
    ours[7] = bad
    for champion in (theirs, None):
        verdict = judge(y, ours, champion, task="binary")
        assert verdict.outcome is Outcome.REJECTED
        assert verdict.message == "answers of the challenger: 1 of 500 answers of the challenger are NaN or infinite"


def test_a_champion_that_answers_no_number_wins_nothing_for_the_challenger():
    y, ours, theirs = pair(500, gain=2)
    theirs[7] = np.nan
    verdict = judge(y, ours, theirs, task="binary")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.comparison is None


@pytest.mark.parametrize("champion", [True, False])
def test_too_few_clusters_conclude_nothing_however_clear(champion):
    y, ours, theirs = pair(3000, gain=3)
    verdict = judge(y, ours, theirs if champion else None, task="binary", clusters=np.arange(3000) % 9)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.message.startswith("clusters: 9 are too few")


def test_one_cluster_is_told_not_a_crash():
    y, ours, theirs = pair(300)
    for champion in (theirs, None):
        verdict = judge(y, ours, champion, task="binary", clusters=["a"] * 300)
        assert verdict.outcome is Outcome.INCONCLUSIVE


def test_clusters_may_be_of_any_type_and_change_the_standard_error():
    y, ours, theirs = pair(3000, gain=0.4)
    days = np.repeat([f"day {i}" for i in range(30)], 100)
    verdict = judge(y, ours, theirs, task="binary", clusters=days)
    assert check(verdict, "better auc").extra["clusters"] == 30
    assert check(judge(y, ours, theirs, task="binary"), "better auc").extra["clusters"] is None


@pytest.mark.parametrize(("floor", "outcome"), [(0.6, "passed"), (0.99, "rejected")])
def test_a_floor_is_judged_on_its_bound(floor, outcome):
    y, ours, _ = pair(4000)
    verdict = judge(y, ours, task="binary", policy=Policy(metrics={"auc": {"floor": floor}}))
    assert check(verdict, "floor auc").outcome.value == outcome
    assert verdict.outcome.value == outcome


def test_a_floor_inside_the_interval_warns():
    y, ours, _ = pair(400)
    value = check(judge(y, ours, task="binary", policy=Policy(metrics={"auc": {"floor": 0.6}})), "floor auc").observed
    verdict = judge(y, ours, task="binary", policy=Policy(metrics={"auc": {"floor": round(value, 3)}}))
    assert check(verdict, "floor auc").outcome is Found.WARNED
    assert verdict.outcome is Outcome.PASSED


def test_the_floor_of_an_error_is_a_ceiling():
    y, ours, _ = pair(4000)
    for limit, outcome in ((0.9, Found.PASSED), (0.1, Found.REJECTED)):
        policy = Policy(metrics={"log_loss": {"floor": limit}})
        assert check(judge(y, ours, task="binary", policy=policy), "floor log_loss").outcome is outcome


def test_the_floor_of_bias_is_a_distance():
    y = np.random.default_rng(0).normal(size=2000)
    policy = Policy(metrics={"bias": {"floor": 0.2, "compare": False}})
    for shift, outcome in ((0.0, Found.PASSED), (-0.5, Found.REJECTED), (0.5, Found.REJECTED)):
        noisy = y + np.random.default_rng(1).normal(0, 0.1, 2000) + shift
        assert check(judge(y, noisy, task="regression", policy=policy), "floor bias").outcome is outcome


def test_calibration_is_told_and_judged_where_limited():
    y, ours, _ = pair(4000)
    assert check(judge(y, ours, task="binary"), "calibration").outcome is Found.PASSED
    limited = Policy(calibration={"max_ece": 0.1})
    assert check(judge(y, ours, task="binary", policy=limited), "calibration").outcome is Found.PASSED
    assert check(judge(y, ours**5, task="binary", policy=limited), "calibration").outcome is Found.REJECTED


def test_weights_decide_what_counts():
    y, ours, theirs = pair(4000, gain=2)
    mixed = np.where(np.arange(4000) < 2000, ours, 1 - ours)
    for half, passes in ((0, True), (1, False)):
        weights = np.where(np.arange(4000) // 2000 == half, 1.0, 0.001)
        verdict = judge(y, mixed, theirs, task="binary", weights=weights)
        assert verdict.passed is passes


def test_several_classes_and_rankings_are_judged():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 3000)
    scores = [rng.normal(size=(3000, 3)) + strength * np.eye(3)[y] for strength in (2.0, 1.0)]
    ours, theirs = (np.exp(s) / np.exp(s).sum(axis=1, keepdims=True) for s in scores)
    verdict = judge(y, ours, theirs, task="multiclass")
    assert verdict.passed
    assert verdict.message.startswith("better log_loss: ")
    y, ours, theirs = pair(3000, gain=2)
    assert judge(y, 100 * ours - 7, theirs, task="ranking").passed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": []}, "test set: empty"),
        ({"y": np.ones(100)}, r"a single class \(1\)"),
        ({"y": ["a"] * 100}, "targets: not numbers"),
        ({"y": np.full(100, np.nan)}, "100 targets are missing"),
        ({"challenger": np.ones(99)}, "challenger: 99 answers to 100 rows"),
        ({"champion": np.ones(99)}, "champion: answers have the shape"),
        ({"weights": -np.ones(100)}, "weights: weights must be at least 0"),
        ({"weights": np.ones(3)}, "weights"),
        ({"clusters": [1, 2]}, "clusters: has the shape"),
        ({"slices": {"a": [1, 2]}}, "slice a: has the shape"),
    ],
)
def test_what_cannot_be_judged_is_bad_input(change, message):
    y, ours, theirs = pair(100)
    given = {"y": y, "challenger": ours, "champion": theirs, "task": "binary", **change}
    with pytest.raises(BadInput, match=message):
        judge(**given)


def test_targets_that_no_model_could_be_measured_on_are_bad_input():
    y = np.arange(200.0)  # the first one is zero
    policy = Policy(metrics={"mape": {"relative_margin": 0.1}})
    with pytest.raises(BadInput, match="targets are zero"):
        judge(y, y + 1, y + 2, task="regression", policy=policy)


def test_the_verdict_is_the_worst_of_its_checks_and_names_the_first_of_them():
    for seed in range(12):
        y, ours, theirs = pair(700, gain=0.3 * (seed % 4) - 0.3, seed=seed)
        verdict = judge(y, ours, theirs, task="binary", slices={"third": np.arange(700) % 3})
        assert verdict.outcome is worst(verdict.checks)
        kinds = {Outcome.REJECTED: Found.REJECTED, Outcome.INCONCLUSIVE: Found.INCONCLUSIVE}
        deciding = [c for c in verdict.checks if c.outcome is kinds.get(verdict.outcome, Found.PASSED)]
        assert verdict.message.startswith(f"{deciding[0].name}: {deciding[0].message}")


def test_swapping_the_models_never_passes_both():
    for seed in range(10):
        y, ours, theirs = pair(2000, gain=0.5, seed=seed)
        there, back = (judge(y, *models, task="binary") for models in ((ours, theirs), (theirs, ours)))
        assert not (there.passed and back.passed)
        assert check(there, "better auc").observed == pytest.approx(-check(back, "better auc").observed)
