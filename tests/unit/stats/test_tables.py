"""Confusion-table metrics: published tables, and standard errors against formulas, deletion and each other."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from ci.stats import difference, estimate
from ci.stats.tables import f1, kappa, macro_f1, mcc, precision, recall


def rows_of(table):
    """Rows (truth, decision) of a table of counts."""
    table = np.asarray(table)
    truth, called = np.indices(table.shape)
    return np.repeat(truth.ravel(), table.ravel()), np.repeat(called.ravel(), table.ravel())


def test_kappa_is_cohens_example():
    # Cohen (1960): 200 cases, two judges, three diagnoses; p_o = .70, p_e = .41, kappa .492
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]], dtype=float)
    assert kappa(table) == pytest.approx((0.70 - 0.41) / (1 - 0.41))


def test_kappas_error_is_the_formula_of_fleiss_cohen_and_everitt():
    # Fleiss, Cohen & Everitt (1969), the large-sample variance, on Cohen's table of 200
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    p = table / table.sum()
    rows, columns, k = p.sum(1), p.sum(0), kappa(table.astype(float))
    agree, chance = np.trace(p), rows @ columns
    on = sum(p[i, i] * (1 - (rows[i] + columns[i]) * (1 - k)) ** 2 for i in range(3))
    off = sum(p[i, j] * (columns[i] + rows[j]) ** 2 for i in range(3) for j in range(3) if i != j) * (1 - k) ** 2
    by_formula = math.sqrt((on + off - (k - chance * (1 - k)) ** 2) / ((1 - chance) ** 2 * 200))
    y, called = rows_of(table)
    assert agree == pytest.approx(0.7)
    assert estimate("kappa", y, np.eye(3)[called]).se == pytest.approx(by_formula, rel=0.03)


def test_two_class_formulas_by_hand():
    table = np.array([[50.0, 10.0], [5.0, 35.0]])
    assert precision(table) == pytest.approx(35 / 45)
    assert recall(table) == pytest.approx(35 / 40)
    assert f1(table) == pytest.approx(70 / 85)
    assert mcc(table) == pytest.approx((35 * 50 - 10 * 5) / math.sqrt(45 * 40 * 60 * 55))  # Matthews (1975)


def test_what_has_nothing_to_divide_by_is_zero_and_never_nan():
    nothing_called = np.array([[50.0, 0.0], [5.0, 0.0]])
    for formula in (precision, recall, f1, mcc, kappa):
        assert formula(nothing_called) == 0
    assert estimate("precision", [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]).value == 0


def test_macro_f1_leaves_out_classes_that_never_occur():
    table = np.array([[5.0, 1.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert macro_f1(table) == pytest.approx((10 / 13 + 8 / 11) / 2)


@pytest.mark.parametrize("metric", ["recall", "precision"])
def test_bootstrap_of_a_share_is_the_binomial(metric):
    y, called = rows_of([[6000, 1000], [900, 2100]])
    share, trials = {"recall": (0.7, 3000), "precision": (2100 / 3100, 3100)}[metric]
    assert estimate(metric, y, called).se == pytest.approx(math.sqrt(share * (1 - share) / trials), rel=0.02)


def test_bootstrap_of_mcc_is_the_delta_method_of_phi():
    # MCC of two classes is the correlation of truth and decision: its influence function, written out
    y, called = rows_of([[4000, 1000], [1500, 3500]])
    got = estimate("mcc", y, called)
    x, z = y - y.mean(), called - called.mean()
    r = (x * z).mean() / (x.std() * z.std())
    influence = x * z / (x.std() * z.std()) - r / 2 * (x**2 / x.var() + z**2 / z.var())
    assert got.value == pytest.approx(r)
    assert got.se == pytest.approx(influence.std() / 100, rel=0.02)


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "kappa", "mcc"])
def test_pairing_counts(binary, metric):
    paired = difference(metric, *binary).se
    apart = math.hypot(*(estimate(metric, binary.y, s).se for s in binary[1:]))
    assert paired < 0.95 * apart


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_clusters_are_left_out_one_by_one(binary, metric):
    clusters = np.random.default_rng(0).integers(0, 15, len(binary.y))
    oracle = {"f1": sk.f1_score, "mcc": sk.matthews_corrcoef}[metric]
    called = [s >= 0.5 for s in binary[1:]]
    theta = np.array([oracle(binary.y[m], called[0][m]) - oracle(binary.y[m], called[1][m])
                      for m in (clusters != g for g in range(15))])  # fmt: skip
    by_hand = math.sqrt(14 / 15 * ((theta - theta.mean()) ** 2).sum())
    got = difference(metric, *binary, clusters=clusters)
    assert got.se == pytest.approx(by_hand, rel=0.05)
    assert got.se >= by_hand  # rows that nobody saw only widen
    assert got.method == "jackknife of tables, 15 clusters"


def test_many_classes_fall_back_to_the_linearised_tables():
    rng = np.random.default_rng(0)
    n, k = 4000, 12
    y = rng.integers(0, k, n)
    odds = np.exp(rng.normal(size=(n, k)) + 2 * np.eye(k)[y])
    p = odds / odds.sum(axis=1, keepdims=True)
    q = np.roll(p, 1, axis=1) * 0.3 + p * 0.7
    got = difference("kappa", y, p, q)
    assert got.method == "linearised tables"
    assert got.se == pytest.approx(difference("kappa", y, p, q, clusters=np.arange(n)).se, rel=0.01)


def test_very_many_clusters_fall_back_to_the_linearised_tables(binary, monkeypatch):
    clusters = np.arange(len(binary.y)) // 3
    usual = difference("f1", *binary, clusters=clusters)
    monkeypatch.setattr("ci.stats.tables._MOST_IN_CLUSTERS", 0)
    linear = difference("f1", *binary, clusters=clusters)
    assert linear.method == "linearised tables, 200 clusters"
    assert linear.se == pytest.approx(usual.se, rel=0.02)


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "kappa", "mcc"])
def test_all_right_is_not_certainty(metric):
    y = np.tile([0, 1], 15)
    alone, twice = estimate(metric, y, y), difference(metric, y, y, y)
    assert alone.value == 1
    assert alone.se > 0.02
    assert twice.value == 0
    assert twice.se > 0.02


@pytest.mark.parametrize("k", [3, 12])
def test_all_right_is_not_certainty_with_any_number_of_classes(k):
    y = np.tile(np.arange(k), 20)
    decisions = np.eye(k)[y]
    assert difference("macro_f1", y, decisions, decisions).se > 1 / len(y)


def test_the_bootstrap_repeats_itself_and_follows_its_seed(binary):
    first, again = (difference("f1", *binary, seed=4) for _ in range(2))
    other = difference("f1", *binary, seed=5)
    assert first == again
    assert first.se != other.se
    assert first.se == pytest.approx(other.se, rel=0.04)
