"""
Figures that somebody else computed: printed in a paper, by another program, or by enumerating every possible sample.

DeLong's figures (R package pROC, aSAH) are in test_ranking.py, Armitage & Berry's table in test_decisions.py, Wilson's
interval (Newcombe 1998) in test_calibration.py, Cohen's kappa in test_tables.py. Here are those that were still
missing; "statsmodels" is version 0.15.0, whose figures were written down, not imported.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ci.stats import difference, estimate, holm, mcnemar
from ci.stats.tables import FORMULAS

APPROVAL = np.array([794, 150, 86, 570])  # yes-yes, yes-no, no-yes, no-no: Agresti (2002), table 10.1


def test_the_sandwich_is_statsmodels():
    # sm.OLS(d, ones).fit(cov_type="cluster", cov_kwds={"groups": c}, use_t=True), 240 rows in 6 uneven clusters
    i = np.arange(240)
    challenger, champion, clusters = (i * 37 % 101) / 100, (i * 53 % 97) / 96, i * i % 11
    got = difference("mae", np.zeros(240), challenger, champion, clusters=clusters)
    assert got.value == pytest.approx(-0.004085069444444446, rel=1e-9)
    assert got.se == pytest.approx(0.07444601719182138, rel=1e-12)
    assert (got.low, got.high) == pytest.approx((-0.19545465, 0.18728451), abs=1e-8)
    assert 2 * got.p_below(0) == pytest.approx(0.95836482, abs=1e-8)
    assert (got.clusters, got.df) == (6, 5)


def test_mcnemar_on_agrestis_table_is_statsmodels():
    # statsmodels mcnemar([[794, 150], [86, 570]], exact=True); Agresti prints z = 4.17 for its large-sample form
    y = np.ones(1600)
    first, second = (np.repeat(answers, APPROVAL) for answers in ([1, 1, 0, 0], [1, 0, 1, 0]))
    found = mcnemar(y, first, second)
    assert found == (150, 86, pytest.approx(3.7159361395713866e-05, rel=1e-9))
    assert (found.only_first - found.only_second) / math.sqrt(150 + 86) == pytest.approx(4.17, abs=0.005)


def test_holm_on_fifteen_endpoints_of_a_trial_is_statsmodels():
    # Neuhaus et al. (1992), thrombolysis, the p-values printed by Benjamini & Hochberg (1995), section 4, who say that
    # controlling the family error rejects the three smallest; multipletests(p, method="holm")
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1,
    ]
    adjusted = holm(p)
    assert (adjusted <= 0.05).sum() == 3
    wanted = [0.0015, 0.0056, 0.0247, 0.114, 0.2211, 0.278, 0.278, 0.278, 0.3213, *[1.0] * 6]
    assert adjusted == pytest.approx(wanted, rel=1e-9)


def test_kappas_error_on_cohens_table_is_statsmodels():
    # cohens_kappa([[88, 14, 18], [10, 40, 10], [2, 6, 12]]): kappa .4915, std_kappa .0510
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    truth, called = (np.repeat(side.ravel(), table.ravel()) for side in np.indices(table.shape))
    got = estimate("kappa", truth, np.eye(3)[called])
    assert got.value == pytest.approx(0.49152542372881347, rel=1e-12)
    assert got.se == pytest.approx(0.05100181557607786, rel=0.03)  # 10,000 draws: 1 %; and the rows that nobody saw


def outcomes(n, cells):
    """Every way to put n rows into cells, (n_ways, n_cells)."""
    bars = itertools.combinations(range(n + cells - 1), cells - 1)
    return np.array([np.diff((-1, *at, n + cells - 1)) - 1 for at in bars])


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "kappa", "mcc"])
def test_the_count_table_bootstrap_is_the_exact_one(metric):
    # 24 rows, truth by decision 8 3 / 4 9: all 2,925 tables with their multinomial probabilities (Efron 1979, section 2:
    # the bootstrap distribution itself, of which the draws are a sample)
    counts, n = np.array([8, 3, 4, 9]), 24
    ways = outcomes(n, 4)
    log_ways = math.lgamma(n + 1) - np.vectorize(math.lgamma)(ways + 1.0).sum(axis=1)
    chance = np.exp(log_ways + ways @ np.log(counts / n))
    values = FORMULAS[metric](ways.reshape(-1, 2, 2).astype(float))
    mean = chance @ values
    exact = math.sqrt(chance @ (values - mean) ** 2)
    assert chance.sum() == pytest.approx(1)
    truth, called = np.repeat([0, 0, 1, 1], counts), np.repeat([0, 1, 0, 1], counts)
    got = estimate(metric, truth, called)
    assert got.method == "count-table bootstrap"
    doubt = math.sqrt(max(got.se**2 - exact**2, 0))  # what the unseen rows add: see DOUBT_ROWS
    assert got.se >= 0.98 * exact
    assert doubt < 0.5 * exact
    assert difference_of_draws(truth, called, metric) == pytest.approx(exact, rel=0.01)


def difference_of_draws(truth, called, metric):
    """Return the standard error of the draws alone, as the statistics make them, without the unseen rows."""
    from ci.stats import inputs, lookup, rows, tables

    sample = inputs.checked(lookup(metric), truth, (called,))
    cells = tables._Cells(lookup(metric), sample, [rows.decide(scores, rows.Decision()) for scores in sample.models])
    return cells.bootstrap(200_000, 0)


def test_the_bootstrap_of_two_models_is_the_exact_one():
    # 8 rows in the 8 joint cells of (truth, ours, theirs): all 6,435 tables
    y, ours, theirs = np.array(
        [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]
    ).T
    ways = outcomes(8, 8)
    cells = np.bincount((y * 2 + ours) * 2 + theirs, minlength=8)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_shares = np.where(ways > 0, ways * np.log(cells / 8), 0).sum(axis=1)
    chance = np.exp(math.lgamma(9) - np.vectorize(math.lgamma)(ways + 1.0).sum(axis=1) + log_shares)
    joint = ways.reshape(-1, 2, 2, 2).astype(float)  # truth, ours, theirs
    gain = FORMULAS["f1"](joint.sum(axis=3)) - FORMULAS["f1"](joint.sum(axis=2))
    exact = math.sqrt(chance @ (gain - chance @ gain) ** 2)
    from ci.stats import inputs, lookup, tables

    sample = inputs.checked(lookup("f1"), y, (ours, theirs))
    drawn = tables._Cells(lookup("f1"), sample, [ours, theirs]).bootstrap(200_000, 1)
    assert chance.sum() == pytest.approx(1)
    assert drawn == pytest.approx(exact, rel=0.01)
