"""The registry is complete and every value is scikit-learn's, with and without weights."""

import itertools

import numpy as np
import pytest
from sklearn import metrics as sk

from ci.stats import METRICS, difference, estimate, lookup
from tests.unit.stats.conftest import make_case

EVERY = sorted((metric.name, task) for metric in METRICS.values() for task in metric.tasks)


def called(scores):
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= 0.5).astype(int)


ORACLES = {
    "auc": lambda y, s, w: sk.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, s, w: sk.average_precision_score(y, s, sample_weight=w),
    "log_loss": lambda y, s, w: sk.log_loss(y, s, sample_weight=w),
    "brier": lambda y, s, w: sk.brier_score_loss(y, s, sample_weight=w),
    "accuracy": lambda y, s, w: sk.accuracy_score(y, called(s), sample_weight=w),
    "cost": lambda y, s, w: 1 - sk.accuracy_score(y, called(s), sample_weight=w),
    "f1": lambda y, s, w: sk.f1_score(y, called(s), sample_weight=w),
    "precision": lambda y, s, w: sk.precision_score(y, called(s), sample_weight=w),
    "recall": lambda y, s, w: sk.recall_score(y, called(s), sample_weight=w),
    "macro_f1": lambda y, s, w: sk.f1_score(y, called(s), sample_weight=w, average="macro"),
    "kappa": lambda y, s, w: sk.cohen_kappa_score(y, called(s), sample_weight=w),
    "mcc": lambda y, s, w: sk.matthews_corrcoef(y, called(s), sample_weight=w),
    "mae": lambda y, s, w: sk.mean_absolute_error(y, s, sample_weight=w),
    "mse": lambda y, s, w: sk.mean_squared_error(y, s, sample_weight=w),
    "mape": lambda y, s, w: sk.mean_absolute_percentage_error(y, s, sample_weight=w),
    "rmse": lambda y, s, w: sk.root_mean_squared_error(y, s, sample_weight=w),
    "r2": lambda y, s, w: sk.r2_score(y, s, sample_weight=w),
    "bias": lambda y, s, w: np.average(s - y, weights=w),
}


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_the_value_is_scikit_learns(metric, task):
    case = make_case(task)
    weighing = (None, np.random.default_rng(1).uniform(0.1, 3, len(case.y)))
    for weights, clusters in itertools.product(weighing, (None, np.arange(len(case.y)) % 40)):
        got = estimate(metric, case.y, case.challenger, weights=weights, clusters=clusters)
        assert got.value == pytest.approx(ORACLES[metric](case.y, case.challenger, weights), abs=1e-12)
        assert got.low < got.value < got.high
        assert (got.n, got.clusters) == (len(case.y), None if clusters is None else 40)


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_a_gain_is_the_difference_turned_so_that_more_is_better(metric, task):
    case = make_case(task)
    ours, theirs = (estimate(metric, case.y, scores).value for scores in case[1:])
    if metric == "bias":
        ours, theirs = abs(ours), abs(theirs)
    gain = difference(metric, case.y, case.challenger, case.champion)
    assert gain.value == pytest.approx(METRICS[metric].direction * (ours - theirs), abs=1e-12)


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_clusters_of_one_row_are_independent_rows(metric, task):
    case = make_case(task)
    alone = difference(metric, *case)
    singles = difference(metric, *case, clusters=np.arange(len(case.y)))
    assert singles.se == pytest.approx(alone.se, rel=0.03)  # the bootstrap of 10,000 draws is good to 1 %


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_weights_of_one_are_no_weights(metric, task):
    case = make_case(task)
    assert difference(metric, *case, weights=np.ones(600)).se == pytest.approx(difference(metric, *case).se, rel=0.03)


def test_margins_are_small_and_never_negative():
    assert lookup("auc").default_margin(0.8) == 0.005
    assert lookup("rmse").default_margin(12.0) == pytest.approx(0.12)
    assert lookup("r2").default_margin(-0.4) == 0.005  # a negative metric does not turn its margin
    with pytest.raises(ValueError, match="bias: no default margin"):
        lookup("bias").default_margin(1.0)
    with pytest.raises(ValueError, match="mae: a relative margin of a champion at zero"):
        lookup("mae").default_margin(0.0)


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"f_1: unknown metric \(did you mean f1\?\)"):
        estimate("f_1", [0, 1], [0.1, 0.9])
    with pytest.raises(ValueError, match="known: auc"):
        lookup("zzz")


def test_the_registry_says_what_a_report_needs():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.description
        assert metric.tasks
        assert metric.direction in {1, -1}
    with pytest.raises(TypeError):
        METRICS["auc"] = lookup("f1")
