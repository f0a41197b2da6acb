"""What must hold for every metric on any data."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ci.stats import METRICS, difference, estimate
from tests.unit.stats.conftest import make_case

EVERY = sorted((metric.name, task) for metric in METRICS.values() for task in metric.tasks if task != "ranking")
QUICK = settings(max_examples=3, deadline=None, derandomize=True)
sizes, seeds = st.integers(20, 80), st.integers(0, 10_000)


def drawn(task, n, seed):
    case = make_case(task, n=n, seed=seed)
    assume(len(set(case.y.tolist())) >= 2)
    if task == "binary":
        assume(2 <= case.y.sum() <= n - 2)
    return case


@pytest.mark.parametrize(("metric", "task"), EVERY)
@given(n=sizes, seed=seeds)
@QUICK
def test_swapping_the_models_turns_the_sign_and_nothing_else(metric, task, n, seed):
    y, ours, theirs = drawn(task, n, seed)
    forth, back = difference(metric, y, ours, theirs), difference(metric, y, theirs, ours)
    assert forth.value == pytest.approx(-back.value, abs=1e-12)
    assert forth.se == pytest.approx(back.se, rel=1e-9, abs=1e-15)
    assert forth.low == pytest.approx(-back.high, abs=1e-9)


@pytest.mark.parametrize(("metric", "task"), EVERY)
@given(n=sizes, seed=seeds, clustered=st.booleans())
@QUICK
def test_the_order_of_rows_is_nothing(metric, task, n, seed, clustered):
    y, ours, theirs = drawn(task, n, seed)
    codes = np.arange(n) % (n // 2) if clustered else None
    shuffle = np.random.default_rng(seed).permutation(n)
    one = difference(metric, y, ours, theirs, clusters=codes)
    moved = codes[shuffle] if clustered else None
    other = difference(metric, y[shuffle], ours[shuffle], theirs[shuffle], clusters=moved)
    assert other.value == pytest.approx(one.value, rel=1e-9, abs=1e-12)
    assert other.se == pytest.approx(one.se, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("metric", "task"), EVERY)
@given(n=sizes, seed=seeds, clustered=st.booleans())
@QUICK
def test_a_model_gains_nothing_over_itself(metric, task, n, seed, clustered):
    y, ours, _ = drawn(task, n, seed)
    got = difference(metric, y, ours, ours, clusters=np.arange(n) % (n // 2) if clustered else None)
    assert got.value == 0
    assert got.p_above(0) >= 0.5  # a tie is never superior


@pytest.mark.parametrize(("metric", "task"), EVERY)
@given(n=sizes, seed=seeds)
@QUICK
def test_weights_of_two_are_rows_given_twice(metric, task, n, seed):
    y, ours, _ = drawn(task, n, seed)
    weights = np.random.default_rng(seed).integers(1, 3, n)
    weighted = estimate(metric, y, ours, weights=weights)
    repeated = estimate(metric, np.repeat(y, weights), np.repeat(ours, weights, axis=0))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("metric", "task"), EVERY)
@given(n=sizes, seed=seeds, scale=st.sampled_from([1e-6, 0.3, 1e6]))
@QUICK
def test_the_scale_of_weights_is_nothing(metric, task, n, seed, scale):
    y, ours, theirs = drawn(task, n, seed)
    weights = np.random.default_rng(seed).uniform(0.5, 2, n)
    one, other = (difference(metric, y, ours, theirs, weights=weights * s) for s in (1, scale))
    assert (other.value, other.se) == pytest.approx((one.value, one.se), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("metric", ["auc", "average_precision"])
@given(n=sizes, seed=seeds)
@QUICK
def test_a_ranking_is_all_that_a_ranking_metric_sees(metric, n, seed):
    y, ours, theirs = drawn("binary", n, seed)
    one = difference(metric, y, ours, theirs)
    other = difference(metric, y, np.exp(5 * ours), theirs**3 - 7)
    assert (other.value, other.se) == pytest.approx((one.value, one.se), rel=1e-9, abs=1e-12)


@given(n=sizes, seed=seeds)
@QUICK
def test_auc_of_turned_scores_is_the_complement(n, seed):
    y, ours, _ = drawn("binary", n, seed)
    one, other = estimate("auc", y, ours), estimate("auc", y, -ours)
    assert (other.value, other.se) == pytest.approx((1 - one.value, one.se))
