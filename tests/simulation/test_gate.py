"""What the gate promises, by simulation with fixed seeds: false promotions, false vetoes, creep, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from ci.errors import Outcome
from ci.gate import Policy, judge
from ci.report import Found
from ci.stats import alpha_spending, difference
from tests.unit.gate.test_judge import pair, seen, sigmoid


def at_most(count, runs, rate):
    """Say whether `count` of `runs` is what a true rate of at most `rate` gives, but once in a thousand times."""
    return count <= binom.ppf(0.999, runs, rate)


def days(rng, n_days=30, rows=60, apart=0.6):
    """Draw clustered rows and two equally good models, each with its own luck of the day."""
    day = np.repeat(np.arange(n_days), rng.poisson(rows, n_days) + 1)
    signal = rng.normal(size=len(day)) + 0.5 * rng.normal(size=n_days)[day]
    y = (rng.random(len(day)) < sigmoid(1.5 * signal)).astype(int)
    luck = (rng.normal(size=n_days)[day] for _ in range(2))
    return y, *(sigmoid(1.2 * signal + apart * own) for own in luck), day


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_equal_models_are_rarely_promoted_under_superior(clustered):
    rng, runs, promoted = np.random.default_rng(1), 1500, 0
    for seed in range(runs):
        y, ours, theirs, day = days(rng, rows=25) if clustered else (*pair(500, seed=seed), None)
        promoted += judge(y, ours, theirs, task="binary", clusters=day, comparison=1).passed
    assert at_most(promoted, runs, 0.025)  # the first share of a budget of .05


@pytest.mark.slow
def test_a_model_worse_by_exactly_the_margin_rarely_passes_as_not_inferior():
    # mean squared error of a challenger whose errors are larger by just the margin, 5 % of the champion's
    rng, runs, passed = np.random.default_rng(2), 2000, 0
    policy = Policy(
        promote="non_inferior", reason="a simulation", primary="mse",
        metrics={"mse": {"margin": 0.05}, "mae": {"margin": 9.0}, "rmse": {"margin": 9.0}},
    )  # fmt: skip
    for _ in range(runs):
        y = 3 * rng.normal(size=400)
        errors = rng.normal(size=(2, 400))
        challenger, champion = y + np.sqrt(1.05) * errors[0], y + (0.8 * errors[0] + 0.6 * errors[1])
        passed += judge(y, challenger, champion, task="regression", policy=policy).outcome is Outcome.PASSED
    assert at_most(passed, runs, 0.03)  # a share of .025, and a heavy tail's bit
    assert passed > 0.01 * runs  # the test set is not simply too small to pass anything


@pytest.mark.slow
def test_twenty_harmless_slices_rarely_reject():
    # STATISTICS §1: "no slice may be worse" rejects 100 %, unadjusted p < .05 rejects 54 %; at the margin itself
    rng, runs, vetoed, unadjusted, any_worse = np.random.default_rng(3), 250, 0, 0, 0
    policy = Policy(primary="brier", slices={"margin": 1e-9, "min_rows": 30, "min_events": 5})
    for _ in range(runs):
        y, ours, theirs, _ = days(rng, n_days=40, rows=150)
        part = np.arange(len(y)) % 20
        swapped = rng.random(len(y)) < 0.5  # as good as the champion everywhere, whatever luck a day had
        ours, theirs = np.where(swapped, theirs, ours), np.where(swapped, ours, theirs)
        found = judge(y, ours, theirs, task="binary", slices={"part": part}, policy=policy).slices
        vetoed += any(item.check.outcome is Found.REJECTED for item in found)
        p_values = [difference("brier", y[part == s], ours[part == s], theirs[part == s]).p_below(0) for s in range(20)]
        unadjusted += min(p_values) < 0.05
        any_worse += any(item.gain < 0 for item in found)
    assert at_most(vetoed, runs, 0.05)
    assert unadjusted / runs > 0.4
    assert any_worse / runs > 0.95


@pytest.mark.slow
def test_two_hundred_equal_challengers_do_not_creep_upward():
    # STATISTICS §1: "any gain" ends at an apparent .860 for a true .800; here the apparent accuracy stays where it was
    rng, runs, promoted, crept, naive = np.random.default_rng(4), 400, 0, [], []
    policy = Policy(
        primary="accuracy", metrics={"log_loss": {"margin": 9.0}, "brier": {"margin": 0.9}, "auc": {"margin": 0.9}}
    )
    for _ in range(runs):
        y = rng.integers(0, 2, 500)
        champion = start = lucky = _of_accuracy(y, 0.8, rng)
        for number in range(1, 201):
            challenger = _of_accuracy(y, 0.8, rng)
            lucky = challenger if _accuracy(y, challenger) > _accuracy(y, lucky) else lucky
            gain = difference("accuracy", y, challenger, champion)
            if gain.lower(1 - alpha_spending(number)) <= 0:  # as `judge` would, a hundred times faster
                continue
            verdict = judge(y, challenger, champion, task="binary", comparison=number, policy=policy)
            promoted += verdict.passed
            champion = challenger if verdict.passed else champion
        crept.append(_accuracy(y, champion) - _accuracy(y, start))
        naive.append(_accuracy(y, lucky) - _accuracy(y, start))
    assert at_most(promoted, runs, 0.05)
    assert np.mean(naive) > 0.035
    assert np.mean(crept) < 0.004


def _of_accuracy(y, share, rng):
    right = rng.random(len(y)) < share
    return np.where(right == (y == 1), 0.8, 0.2)


def _accuracy(y, scores):
    return float(((scores >= 0.5) == y).mean())


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["auc", "brier"])
def test_clustered_intervals_cover_where_independent_ones_do_not(metric):
    rng, runs, held = np.random.default_rng(5), 1000, {True: 0, False: 0}
    for _ in range(runs):
        y, ours, theirs, day = days(rng, rows=40, apart=1.0)
        for use in held:
            found = difference(metric, y, ours, theirs, clusters=day if use else None)
            held[use] += found.low <= 0 <= found.high
    assert 0.93 < held[True] / runs < 0.97  # nominal .95, Monte-Carlo error .007
    assert held[False] / runs < 0.75


def test_a_large_loss_in_a_small_slice_is_found_where_power_alone_would_let_it_pass():
    # ADR 0011: of slices that cannot see twice the margin, those with evidence veto, those without do not
    rng, runs, vetoed, harmless = np.random.default_rng(6), 60, 0, 0
    for seed in range(runs):
        signal = rng.normal(size=3000)
        y = (rng.random(3000) < sigmoid(1.5 * signal)).astype(int)
        small = np.arange(3000) < 300
        theirs = seen(signal, 0.6, rng)
        for hurt in (True, False):
            ours = seen(signal, np.where(small & hurt, 3.0, 0.5), rng)
            (found,) = (
                item.check
                for item in judge(y, ours, theirs, task="binary", slices={"small": small}).slices
                if item.value == "True"
            )
            assert found.extra["mde"] > 2 * found.extra["margin"], seed
            vetoed += hurt and found.outcome is Found.REJECTED
            harmless += (not hurt) and found.outcome is Found.REJECTED
    assert vetoed > 0.85 * runs
    assert at_most(harmless, runs, 0.05)


def test_the_budget_is_what_keeps_late_challengers_honest():
    # the gain that passes at the first look is not enough at the fortieth look at the same rows
    models = pair(3000, gain=0.25, seed=11)
    assert [judge(*models, task="binary", comparison=k).passed for k in (1, 40)] == [True, False]
