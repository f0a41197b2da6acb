"""Nothing that is missing, infinite, of the wrong shape or of an unknown class is ever measured."""

import itertools

import numpy as np
import pytest

from ci.stats import METRICS, difference, estimate, placements
from tests.unit.stats.conftest import make_case

EVERY = sorted((metric.name, task) for metric in METRICS.values() for task in metric.tasks)


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_a_missing_or_infinite_value_is_an_error_for_every_metric(metric, task):
    case = make_case(task, n=60)
    for bad, where in itertools.product((np.nan, np.inf, -np.inf), case._fields):
        array = getattr(case, where).astype(float)
        array[3] = bad
        with pytest.raises(ValueError, match=rf"^{metric}: .* has [13] missing or infinite"):
            difference(metric, *case._replace(**{where: array}))


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_empty_and_uneven_inputs_are_errors(metric, task):
    case = make_case(task, n=60)
    with pytest.raises(ValueError, match=f"^{metric}: y is empty"):
        estimate(metric, case.y[:0], case.challenger[:0])
    with pytest.raises(ValueError, match=f"^{metric}: scores must match y"):
        difference(metric, case.y, case.challenger, case.champion[:-1])


@pytest.mark.parametrize("metric", ["auc", "average_precision", "f1", "precision", "recall", "kappa", "mcc"])
def test_a_single_class_is_an_error(metric):
    with pytest.raises(ValueError, match=f"^{metric}: y has a single class"):
        estimate(metric, np.ones(20), np.linspace(0, 1, 20))


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "auc", "f1"])
@pytest.mark.parametrize("label", [2, -1, 0.5])
def test_an_unknown_class_is_named(metric, label):
    with pytest.raises(ValueError, match=rf"y has a class {label:g}; known are the integers 0 to 1"):
        estimate(metric, [0, 1, label, 1], [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_probabilities_are_required_where_they_matter(metric, multiclass):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        estimate(metric, [0, 1, 1], [0.1, 1.2, 0.3])
    with pytest.raises(ValueError, match="sum to 1"):
        estimate(metric, multiclass.y, multiclass.challenger * 0.9)
    estimate("accuracy", [0, 1, 1], [-3.0, 1.2, 0.3])  # a decision needs only scores


def test_shapes_must_fit_the_metric(binary, multiclass):
    with pytest.raises(ValueError, match="auc: takes one score a row"):
        estimate("auc", multiclass.y, multiclass.challenger)
    with pytest.raises(ValueError, match="macro_f1: takes one score a class"):
        estimate("macro_f1", binary.y, binary.challenger)
    with pytest.raises(ValueError, match="one-dimensional"):
        estimate("mae", np.ones((4, 2)), np.ones(4))
    with pytest.raises(ValueError, match="must be numbers"):
        estimate("mae", ["a", "b"], [1.0, 2.0])


@pytest.mark.parametrize(("metric", "task"), EVERY)
def test_one_cluster_is_an_error(metric, task):
    case = make_case(task, n=60)
    with pytest.raises(ValueError, match=f"^{metric}: all rows are in one cluster"):
        estimate(metric, case.y, case.challenger, clusters=np.full(60, 4))


def test_cluster_codes_must_be_integers_one_a_row(binary):
    for bad in (np.zeros(5, int), np.linspace(0, 1, len(binary.y))):
        with pytest.raises(ValueError, match="clusters must be integers"):
            estimate("auc", binary.y, binary.challenger, clusters=bad)


def test_cluster_codes_may_be_anything_that_tells_clusters_apart(binary):
    codes = np.arange(len(binary.y)) % 30
    usual = estimate("auc", binary.y, binary.challenger, clusters=codes)
    for other in (codes + 5, -codes, codes * 20_231_231, codes.astype(np.uint8)):
        same = estimate("auc", binary.y, binary.challenger, clusters=other)
        assert (same.value, same.clusters) == (usual.value, 30)
        assert same.se == pytest.approx(usual.se, rel=1e-9)


@pytest.mark.parametrize("bad", [-1, np.nan, np.inf])
def test_weights_are_checked(binary, bad):
    weights = np.ones(len(binary.y))
    weights[0] = bad
    with pytest.raises(ValueError, match="weights"):
        estimate("brier", binary.y, binary.challenger, weights=weights)


def test_weights_may_not_vanish(binary):
    with pytest.raises(ValueError, match="not all 0"):
        estimate("brier", binary.y, binary.challenger, weights=np.zeros(len(binary.y)))
    with pytest.raises(ValueError, match="auc: y has a single class"):
        estimate("auc", binary.y, binary.challenger, weights=binary.y)
    with pytest.raises(ValueError, match="average_precision: y has a single class"):
        estimate("average_precision", binary.y, binary.challenger, weights=1 - binary.y)
    with pytest.raises(ValueError, match="weights must have shape"):
        estimate("brier", binary.y, binary.challenger, weights=[1.0])


def test_mape_refuses_zero_targets_and_r2_constant_ones():
    with pytest.raises(ValueError, match="mape: 1 targets are zero"):
        estimate("mape", [1.0, 0.0, 2.0], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="r2: all targets are equal"):
        estimate("r2", [2.0, 2.0, 2.0], [1.0, 1.0, 1.0])


def test_thresholds_and_costs_are_checked(binary):
    with pytest.raises(ValueError, match="threshold must be finite"):
        estimate("f1", binary.y, binary.challenger, threshold=np.nan)
    with pytest.raises(ValueError, match="costs must be"):
        estimate("cost", binary.y, binary.challenger, costs=(1, -1))


def test_too_little_for_a_standard_error_is_an_error():
    with pytest.raises(ValueError, match="two rows"):
        estimate("auc", [0, 0, 1], [0.1, 0.2, 0.3])
    for metric in ("mae", "rmse"):
        with pytest.raises(ValueError, match=f"{metric}: a single row"):
            estimate(metric, [1.0], [2.0])
    with pytest.raises(ValueError, match="all of a class"):
        estimate("auc", [0, 1, 1, 0, 0], [0.1, 0.9, 0.4, 0.2, 0.3], clusters=[0, 1, 1, 2, 2])


def test_placements_check_their_inputs():
    with pytest.raises(ValueError, match="single class"):
        placements([1, 1], [0.1, 0.2])
