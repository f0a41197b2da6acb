"""Calibration by hand, Wilson's interval by a printed example, and what chance alone does to the errors."""

import math

import numpy as np
import pytest

from ci.stats import (
    brier_decomposition,
    calibration_curve,
    debiased_calibration_error,
    estimate,
    expected_calibration_error,
)


def test_ece_by_hand():
    # bins (.1 .2 | .6 .9): observed 0 and 1/2, predicted .15 and .75: (2·.15 + 2·.25)/4
    assert expected_calibration_error([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.9], bins=2) == pytest.approx(0.2)


def test_ece_does_not_depend_on_the_order_of_ties():
    y = np.tile([0, 0, 1], 100)
    p = np.repeat([0.2, 0.2, 0.7], 100)
    shuffled = np.random.default_rng(0).permutation(300)
    one, other = (expected_calibration_error(y[i], p[i], bins=7) for i in (np.arange(300), shuffled))
    assert one == pytest.approx(other)


def test_equal_predictions_share_a_bin():
    curve = calibration_curve(np.tile([0, 1], 50), np.repeat([0.3, 0.6], [90, 10]), bins=10)
    assert [(b.predicted, b.n) for b in curve] == [(pytest.approx(0.3), 90), (pytest.approx(0.6), 10)]


def test_bins_have_equal_mass(binary):
    p = binary.challenger + np.linspace(0, 1e-6, 600)
    assert [b.n for b in calibration_curve(binary.y, np.clip(p, 0, 1), bins=10)] == [60] * 10


def test_the_interval_is_wilsons():
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263: .2553 to .3662; 0 of 20: 0 to .1611
    for hits, n, printed in ((81, 263, (0.2553, 0.3662)), (0, 20, (0.0, 0.1611))):
        (only,) = calibration_curve(np.arange(n) < hits, np.full(n, 0.3), bins=5)
        assert (only.low, only.high) == pytest.approx(printed, abs=5e-5)


def test_clusters_of_copies_leave_the_interval_of_the_originals():
    y = np.repeat(np.arange(200) % 4 == 0, 10)
    (rows,) = calibration_curve(y, np.full(2000, 0.3))
    (copies,) = calibration_curve(y, np.full(2000, 0.3), clusters=np.repeat(np.arange(200), 10))
    (once,) = calibration_curve(y[::10], np.full(200, 0.3))
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=0.02)
    assert rows.high - rows.low < 0.4 * (once.high - once.low)


def test_one_cluster_in_a_bin_says_nothing():
    y, p = np.tile([0, 1], 10), np.repeat([0.2, 0.8], 10)
    curve = calibration_curve(y, p, bins=2, clusters=np.repeat([0, 1], 10))
    assert [(b.low, b.high) for b in curve] == [(0, 1), (0, 1)]


def test_clusters_that_all_agree_count_as_many_as_they_are():
    (only,) = calibration_curve(np.zeros(400), np.full(400, 0.1), clusters=np.arange(400) // 20)
    assert only.high > 0.15  # 20 clusters, not 400 rows


def test_chance_alone_gives_the_ece_its_docstring_says():
    rng = np.random.default_rng(0)
    p = np.full(4000, 0.3) + rng.uniform(-1e-3, 1e-3, 4000)
    values = [expected_calibration_error(rng.random(4000) < p, p, bins=10) for _ in range(60)]
    assert np.mean(values) == pytest.approx(math.sqrt(2 / math.pi) * math.sqrt(10 * 0.3 * 0.7 / 4000), rel=0.1)


def test_the_debiased_error_is_near_zero_when_all_is_well_and_right_when_not():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.85, 20_000)
    fine, off = rng.random(20_000) < p, rng.random(20_000) < p + 0.1
    assert debiased_calibration_error(fine, p) < min(0.015, expected_calibration_error(fine, p) * 1.5)
    assert debiased_calibration_error(off, p) == pytest.approx(0.1, abs=0.01)


def test_the_parts_of_the_brier_score_add_up(binary):
    parts = brier_decomposition(binary.y, binary.challenger, bins=8)
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert whole == pytest.approx(estimate("brier", binary.y, binary.challenger).value)


def test_with_few_distinct_forecasts_the_parts_are_murphys():
    # Murphy (1973): forecasts .2 (4 rows, 1 event) and .8 (6 rows, 4 events); nothing is hidden inside the bins
    y = [1, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    parts = brier_decomposition(y, [0.2] * 4 + [0.8] * 6, bins=5)
    assert parts.reliability == pytest.approx((4 * 0.05**2 + 6 * (0.8 - 2 / 3) ** 2) / 10)
    assert parts.resolution == pytest.approx((4 * 0.25**2 + 6 * (2 / 3 - 0.5) ** 2) / 10)
    assert parts.uncertainty == pytest.approx(0.25)
    assert parts.within == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("y", "p", "says"),
    [([0, 2], [0.1, 0.2], "class 2"), ([0, 1], [0.1, np.nan], "missing"), ([0, 1], [0.1, 1.5], "probabilities")],
)
def test_inputs_are_checked(y, p, says):
    for function in (expected_calibration_error, debiased_calibration_error, calibration_curve, brier_decomposition):
        with pytest.raises(ValueError, match=says):
            function(y, p)


def test_shapes_and_bins_are_checked():
    with pytest.raises(ValueError, match="equally long"):
        expected_calibration_error([0, 1], [0.1])
    with pytest.raises(ValueError, match="bins"):
        expected_calibration_error([0, 1], [0.1, 0.2], bins=0)
