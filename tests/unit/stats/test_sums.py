"""RMSE, R² and bias: the jackknife of sums against refitting by hand and against the delta method."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from ci.stats import difference, estimate

FORMULAS = {
    "rmse": lambda y, p: -sk.root_mean_squared_error(y, p),
    "r2": sk.r2_score,
    "bias": lambda y, p: -abs(np.mean(p - y)),
}


@pytest.mark.parametrize("metric", FORMULAS)
def test_jackknife_is_the_metric_with_each_cluster_removed(regression, metric):
    y, ours, theirs = regression
    clusters = np.random.default_rng(2).integers(0, 12, len(y))
    formula = FORMULAS[metric]
    left = [clusters != g for g in range(12)]
    theta = np.array([formula(y[m], ours[m]) - formula(y[m], theirs[m]) for m in left])
    by_hand = math.sqrt(11 / 12 * ((theta - theta.mean()) ** 2).sum())
    assert difference(metric, *regression, clusters=clusters).se == pytest.approx(by_hand, rel=1e-9)


def test_rmse_is_the_delta_method(regression):
    # d√m = dm / (2√m): SE of the paired difference from the influence of every row
    y, ours, theirs = regression
    squares = [(p - y) ** 2 for p in (ours, theirs)]
    influence = [(s - s.mean()) / (2 * math.sqrt(s.mean())) for s in squares]
    delta = (influence[1] - influence[0]).std(ddof=1) / math.sqrt(len(y))
    assert difference("rmse", *regression).se == pytest.approx(delta, rel=0.01)


def test_r2_is_the_delta_method(regression):
    y, p, _ = regression
    error, apart = (p - y) ** 2, (y - y.mean()) ** 2
    influence = -(error - error.mean()) / apart.mean() + error.mean() * (apart - apart.mean()) / apart.mean() ** 2
    assert estimate("r2", y, p).se == pytest.approx(influence.std(ddof=1) / math.sqrt(len(y)), rel=0.02)


def test_bias_is_the_z_of_the_mean(regression):
    y, p, _ = regression
    got = estimate("bias", y, p)
    assert (got.value, got.se) == pytest.approx(((p - y).mean(), (p - y).std(ddof=1) / math.sqrt(len(y))))


def test_a_model_nearer_to_no_bias_gains_whatever_its_sign():
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    noise = rng.normal(size=500)
    gain = difference("bias", y, y + 0.1 * noise - 0.5, y + 0.1 * noise + 2)
    assert gain.value == pytest.approx(1.5, abs=0.02)


def test_far_targets_lose_no_digits():
    rng = np.random.default_rng(4)
    y = rng.normal(size=300)
    p = y + rng.normal(size=300) / 2
    near, far = estimate("r2", y, p), estimate("r2", y + 1e6, p + 1e6)
    assert (far.value, far.se) == pytest.approx((near.value, near.se), rel=1e-7)


def test_one_row_with_all_the_weight_is_an_error():
    with pytest.raises(ValueError, match="rmse: one row or cluster holds all the weight"):
        estimate("rmse", [1.0, 2.0, 3.0], [1.0, 1.0, 1.0], weights=[1.0, 0.0, 0.0])
