"""Means of row scores: paired z by hand, the sandwich by a slow regression on a constant."""

import math

import numpy as np
import pytest

from ci.stats import difference, estimate


def slow_cr1(d, clusters):
    """Compute CR1 of OLS on a constant, matrix by matrix (Cameron, Gelbach & Miller 2008, section II)."""
    x = np.ones((len(d), 1))
    bread = np.linalg.inv(x.T @ x)
    residuals = d - x @ (bread @ x.T @ d)
    groups = set(clusters.tolist())
    meat = np.zeros((1, 1))
    for group in groups:
        inside = clusters == group
        moment = x[inside].T @ residuals[inside]
        meat += np.outer(moment, moment)
    return math.sqrt(len(groups) / (len(groups) - 1) * (bread @ meat @ bread).item())


def test_paired_z_by_hand():
    # losses 1, 4, 9 against 4, 4, 4: gains 3, 0, −5; mean −2/3, sd = sqrt(98/6)
    got = difference("mse", [0, 0, 0], [1, 2, 3], [2, 2, 2])
    assert got.value == pytest.approx(-2 / 3)
    assert got.se == pytest.approx(math.sqrt(98 / 6 / 3))
    assert got.method == "paired z"


def test_paired_difference_of_proportions_is_agrestis():
    # Agresti (2002), section 10.1.1, approval of a prime minister, 1600 people asked twice: 794 yes-yes, 150 yes-no,
    # 86 no-yes, 570 no-no; difference .04, standard error .0095
    y = np.ones(1600)
    first = np.repeat([1, 1, 0, 0], [794, 150, 86, 570])
    second = np.repeat([1, 0, 1, 0], [794, 150, 86, 570])
    got = difference("accuracy", y, first, second)
    assert got.value == pytest.approx(0.04)
    assert got.se == pytest.approx(0.0095, abs=1e-4)
    assert (got.low, got.high) == pytest.approx((0.02, 0.06), abs=0.002)


@pytest.mark.parametrize("metric", ["mae", "mse", "mape"])
def test_sandwich_is_the_slow_regression(regression, metric):
    clusters = np.random.default_rng(0).integers(0, 25, len(regression.y)) ** 2
    losses = {
        "mae": lambda s: abs(s - regression.y),
        "mse": lambda s: (s - regression.y) ** 2,
        "mape": lambda s: abs(s - regression.y) / abs(regression.y),
    }[metric]
    gains = losses(regression.champion) - losses(regression.challenger)
    got = difference(metric, *regression, clusters=clusters)
    assert got.se == pytest.approx(slow_cr1(gains, clusters), rel=1e-12)
    assert got.df == len(set(clusters.tolist())) - 1
    assert got.method == f"paired sandwich, {got.clusters} clusters"


def test_whole_clusters_of_copies_count_once():
    # every row five times: the sandwich over the copies is the z of the originals
    rng = np.random.default_rng(5)
    y, p = rng.normal(size=50), rng.normal(size=50)
    once = estimate("mae", y, p)
    copies = estimate("mae", np.repeat(y, 5), np.repeat(p, 5), clusters=np.repeat(np.arange(50), 5))
    assert copies.se == pytest.approx(once.se, rel=1e-12)
    assert estimate("mae", np.repeat(y, 5), np.repeat(p, 5)).se < 0.5 * once.se


def test_log_loss_of_a_certain_mistake_is_large_but_finite():
    assert estimate("log_loss", [1, 1], [0.0, 1.0]).value == pytest.approx(-math.log(1e-15) / 2)


def test_brier_of_classes_runs_to_two():
    # Brier (1950): a certain forecast of the wrong class scores 2
    assert estimate("brier", [0, 1], [[0.0, 1.0], [0.0, 1.0]]).value == 1.0


def test_cost_counts_each_kind_of_mistake():
    got = estimate("cost", [0, 0, 1, 1], [0.9, 0.1, 0.2, 0.8], costs=(2.0, 10.0))
    assert got.value == pytest.approx((2 + 10) / 4)
    assert difference("cost", [0, 1], [0, 1], [1, 0], costs=(2.0, 10.0)).value == pytest.approx(6)


def test_a_score_at_the_threshold_is_positive():
    assert estimate("accuracy", [1, 1, 0], [0.5, 0.3, 0.3], threshold=0.3).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("n", [20, 200])
def test_all_right_is_not_certainty(n):
    # exact one-sided 95 % bound after no mistake in n: .05^(1/n), about 1 − 3/n (Clopper & Pearson 1934)
    got = estimate("accuracy", np.ones(n), np.ones(n))
    assert got.value == 1
    assert got.lower() == pytest.approx(0.05 ** (1 / n), abs=1.0 / n)


def test_the_same_decisions_on_few_rows_are_not_proof_of_equality():
    y = np.tile([0, 1], 50)
    same = difference("accuracy", y, y, y)
    assert same.value == 0
    assert 1 / 100 < same.se < 2 / 100
    assert same.p_above(-0.005) > 0.05  # non-inferiority at half a point cannot be seen on a hundred rows
    many = np.tile([0, 1], 5000)
    assert difference("accuracy", many, many, many).p_above(-0.005) < 0.001


def test_weights_linearise_the_ratio():
    # the linearised ratio of Särndal, Swensson & Wretman (1992), written out
    rng = np.random.default_rng(3)
    y, p, w = rng.normal(size=80), rng.normal(size=80), rng.uniform(0.5, 4, 80)
    d = abs(y - p)
    mean = (w * d).sum() / w.sum()
    se = math.sqrt(80 / 79 * ((w * (d - mean)) ** 2).sum()) / w.sum()
    got = estimate("mae", y, p, weights=w)
    assert (got.value, got.se) == pytest.approx((mean, se))
