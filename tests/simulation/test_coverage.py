"""Simulations with fixed seeds: intervals hold their level where those that ignore clusters do not."""

import numpy as np
import pytest

from ci.stats import difference, estimate, holm


def clustered_pair(rng, n_clusters, rows=30, rate=0.25):
    """Draw two models whose truth shares a day's mood, and each its own luck of that day."""
    sizes = rng.poisson(rows, n_clusters) + 1
    clusters = np.repeat(np.arange(n_clusters), sizes)
    mood, ours, theirs = (rng.normal(size=n_clusters)[clusters] for _ in range(3))
    y = rng.random(len(clusters)) < 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + 0.7 * mood)))
    signal = 1.5 * y - 1 + 0.4 * mood + rng.normal(size=len(y))
    noise = 0.5 * rng.normal(size=(2, len(y)))
    luck = ((0.5 + 1.5 * y) * own + n for own, n in ((ours, noise[0]), (theirs, noise[1])))
    scores = [1 / (1 + np.exp(-(signal + 0.5 * part))) for part in luck]
    return y.astype(int), *scores, clusters


def coverage(metric, n_clusters, runs, *, use_clusters=True, seed=0):
    """Count how often the 95 % interval of equally good models holds zero."""
    rng, held = np.random.default_rng(seed), 0
    for _ in range(runs):
        y, ours, theirs, clusters = clustered_pair(rng, n_clusters)
        got = difference(metric, y, ours, theirs, clusters=clusters if use_clusters else None)
        held += got.low <= 0 <= got.high
    return held / runs


@pytest.mark.parametrize("metric", ["brier", "auc", pytest.param("f1", marks=pytest.mark.slow)])
def test_ignoring_clusters_is_overconfident(metric):
    assert coverage(metric, 25, 150) > 0.89
    assert coverage(metric, 25, 150, use_clusters=False) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("n_clusters", [10, 40])
@pytest.mark.parametrize("metric", ["brier", "log_loss", "accuracy", "auc", "average_precision", "f1", "mcc"])
def test_clustered_intervals_hold_their_level(metric, n_clusters):
    # 1500 runs: standard error .006; few uneven clusters are known to fall a little short
    assert 0.925 <= coverage(metric, n_clusters, 1500, seed=1) <= 0.975


def regression_coverage(metric, runs, *, use_clusters, n_clusters=15, apart=0.3, seed=2):
    """Count how often the 95 % interval of two models with days of their own holds zero."""
    rng, held = np.random.default_rng(seed), 0
    for _ in range(runs):
        clusters = np.repeat(np.arange(n_clusters), rng.poisson(20, n_clusters) + 1)
        mood = rng.normal(size=(2, n_clusters))[:, clusters]
        y = rng.normal(size=len(clusters))
        ours, theirs = (y + (1 + apart * m) * rng.normal(size=len(y)) for m in mood)
        got = difference(metric, y, ours, theirs, clusters=clusters if use_clusters else None)
        held += got.low <= 0 <= got.high
    return held / runs


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["rmse", "r2", "mae"])
def test_clustered_regression_intervals_hold_their_level(metric):
    assert 0.925 <= regression_coverage(metric, 1500, use_clusters=True) <= 0.975


@pytest.mark.parametrize("metric", ["rmse", "r2", "mae"])
def test_ignoring_clusters_is_overconfident_in_a_regression_too(metric):
    known, ignored = (
        regression_coverage(metric, 100, use_clusters=use, n_clusters=30, apart=0.4) for use in (True, False)
    )
    assert known > 0.89
    assert ignored < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["auc", "average_precision", "f1", "kappa", "brier"])
def test_independent_intervals_hold_their_level(metric):
    rng, held, runs = np.random.default_rng(3), 0, 500
    for _ in range(runs):
        y = (rng.random(300) < 0.3).astype(int)
        signal = 1.5 * y - 1 + rng.normal(size=300)
        ours, theirs = (1 / (1 + np.exp(-(signal + rng.normal(size=300)))) for _ in range(2))
        got = difference(metric, y, ours, theirs)
        held += got.low <= 0 <= got.high
    assert 0.93 <= held / runs <= 0.98


@pytest.mark.parametrize("share", [0.95, 0.99])
def test_the_floor_of_an_accuracy_near_one_is_not_passed_too_often(share):
    rng, n = np.random.default_rng(4), 100
    y = np.ones(n)
    false_passes = np.mean([estimate("accuracy", y, rng.random(n) < share).lower() > share for _ in range(1500)])
    assert false_passes < 0.08  # without the unseen rows: .12 and .37


@pytest.mark.slow
def test_holm_on_twenty_slices_rarely_rejects_an_equal_model():
    # one-sided H0_s: gain ≥ 0, the hardest case of a margin of none; the family error must stay near 5 %
    rng, rejected, runs = np.random.default_rng(5), 0, 250
    for _ in range(runs):
        y = (rng.random(8000) < 0.3).astype(int)
        ours, theirs = (np.clip(0.3 + 0.3 * y + rng.normal(0, 0.2, 8000), 0, 1) for _ in range(2))
        slices = np.arange(8000) % 20
        p = [difference("auc", *(a[slices == s] for a in (y, ours, theirs))).p_below(0) for s in range(20)]
        rejected += (holm(p) <= 0.05).any()
    assert rejected / runs < 0.09
