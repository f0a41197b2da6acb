"""AUC and average precision against published figures, brute force over all pairs, and the full jackknife."""

import math

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn import metrics as sk

from ci.stats import delong_se, difference, estimate, placements

# aSAH: outcome of 41 poor and 72 good cases after a brain haemorrhage (Turck et al. 2010). WFNS is the published
# score; S100B is given by its rank among distinct values, which is all that a ranking metric sees. The expected
# figures are those that the R package pROC prints and tests for this example (Robin et al. 2011).
OUTCOME = np.repeat([1, 0], [41, 72])
_WFNS_GRADES = (
    "32455552521254425552525245441442255225555111151221221112121134141551124112212122111121211324214115422111312244111"
)
WFNS = np.array([int(grade) for grade in _WFNS_GRADES])
_S100B_RANKS = """
13 9 19 12 36 42 40 3 29 7 3 34 32 39 42 24 42 42 42 3 42 26 0 7 22 42 24 42 5 24 13 9 11 22 42 15 42 27 42 42 36
13 15 9 1 37 21 9 9 1 5 1 7 11 3 21 3 11 13 21 1 19 15 31 7 41 37 19 3 35 37 11 5 7 5 1 13 9 15 17 1 1 7 1 7 5
19 7 5 29 11 25 3 9 27 3 1 23 33 9 17 5 15 9 3 1 21 17 37 21 17 41 39
"""
S100B = np.array([int(rank) for rank in _S100B_RANKS.split()])


@pytest.mark.parametrize(
    ("score", "auc", "variance"),
    [(WFNS, 0.8236788617886179, 0.00146991470882363), (S100B, 0.7313685636856369, 0.00266868245717244)],
)
def test_delong_of_one_model_is_published(score, auc, variance):
    got = estimate("auc", OUTCOME, score)
    assert got.value == pytest.approx(auc, rel=1e-12)
    assert got.se**2 == pytest.approx(variance, rel=1e-12)
    assert got.method == "DeLong"


def test_delong_of_two_models_is_published():
    got = difference("auc", OUTCOME, WFNS, S100B)
    assert got.value / got.se == pytest.approx(2.20898359144091, rel=1e-12)
    assert (got.low, got.high) == pytest.approx((0.0104061769564846, 0.174214419249478), rel=1e-10)
    assert got.p_above(0) == pytest.approx(0.0135878911145941, rel=1e-10)
    assert got.p_below(0) == pytest.approx(0.986412108885406, rel=1e-10)


def brute_placements(y, scores, weights):
    out = np.zeros(len(y))
    for i in range(len(y)):
        others = np.flatnonzero(y != y[i])
        ahead = np.sign(scores[i] - scores[others]) * (1 if y[i] else -1)
        out[i] = np.average((ahead + 1) / 2, weights=weights[others])
    return out


@pytest.mark.parametrize("weighted", [False, True])
def test_placements_are_counts_over_all_pairs(weighted):
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 120), rng.integers(0, 15, 120) / 15
    weights = rng.uniform(0.2, 2, 120) if weighted else np.ones(120)
    assert placements(y, scores, weights=weights) == pytest.approx(brute_placements(y, scores, weights))


def test_placements_are_sun_and_xus_midranks(binary):
    # Sun & Xu (2014): midranks in the whole sample less those in the class
    y, scores = binary.y == 1, binary.challenger
    n1, n0 = y.sum(), (~y).sum()
    ranks = rankdata(scores)
    expected = np.empty(len(y))
    expected[y] = (ranks[y] - rankdata(scores[y])) / n0
    expected[~y] = 1 - (ranks[~y] - rankdata(scores[~y])) / n1
    placed = placements(binary.y, scores)
    assert placed == pytest.approx(expected)
    assert placed[y].mean() == pytest.approx(placed[~y].mean())
    assert delong_se(binary.y, placed) == estimate("auc", binary.y, scores).se


def test_perfect_and_useless_rankings():
    y = np.repeat([0, 1], 50)
    assert estimate("auc", y, y).value == 1
    assert estimate("auc", y, -y).value == 0
    assert estimate("auc", y, np.zeros(100)).value == 0.5
    assert estimate("auc", y, np.zeros(100)).se == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_clustered_auc_is_the_jackknife_by_hand(binary, weighted):
    rng = np.random.default_rng(1)
    clusters = np.minimum(rng.integers(0, 25, len(binary.y)), rng.integers(0, 25, len(binary.y)))
    weights = rng.uniform(0.5, 2, len(binary.y)) if weighted else np.ones(len(binary.y))

    def gain(m):
        auc = [sk.roc_auc_score(binary.y[m], s[m], sample_weight=weights[m]) for s in binary[1:]]
        return auc[0] - auc[1]

    theta = np.array([gain(clusters != g) for g in np.unique(clusters)])
    count = len(theta)
    by_hand = math.sqrt((count - 1) / count * ((theta - theta.mean()) ** 2).sum())
    got = difference("auc", *binary, clusters=clusters, weights=weights)
    assert got.se == pytest.approx(by_hand, rel=1e-9)
    assert got.method == f"DeLong placements, jackknife, {count} clusters"


def test_clustered_auc_is_obuchowskis_to_first_order():
    # Obuchowski (1997): sums of placements by cluster, with every cluster holding both classes
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(200), 10)
    y = np.tile([0, 1], 1000)
    scores = rng.normal(size=200)[groups] + y + rng.normal(size=2000)
    placed, n1, n0 = placements(y, scores), 1000, 1000
    centred = placed - placed[y == 1].mean()
    s10 = np.bincount(groups, centred * y)
    s01 = np.bincount(groups, centred * (1 - y))
    scale = 200 / 199
    variance = scale * ((s10**2).sum() / n1**2 + (s01**2).sum() / n0**2 + 2 * (s10 * s01).sum() / (n1 * n0))
    assert estimate("auc", y, scores, clusters=groups).se == pytest.approx(math.sqrt(variance), rel=0.01)


def test_more_clusters_than_sixteen_bits_count():
    rng = np.random.default_rng(2)
    clusters = np.arange(70_000) * 2 // 2
    y, scores = rng.integers(0, 2, 70_000), rng.normal(size=70_000)
    assert estimate("auc", y, scores, clusters=clusters).se == pytest.approx(estimate("auc", y, scores).se, rel=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_average_precision_is_close_to_the_full_jackknife(weighted):
    rng = np.random.default_rng(3)
    n = 150
    y = (rng.random(n) < 0.3).astype(int)
    scores = (rng.normal(size=n) + y).round(1)
    weights = rng.uniform(0.5, 2, n) if weighted else np.ones(n)
    keep = ~np.eye(n, dtype=bool)
    theta = np.array([sk.average_precision_score(y[m], scores[m], sample_weight=weights[m]) for m in keep])
    by_hand = math.sqrt((n - 1) / n * ((theta - theta.mean()) ** 2).sum())
    got = estimate("average_precision", y, scores, weights=weights)
    assert got.se == pytest.approx(by_hand, rel=0.05)
