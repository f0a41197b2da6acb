"""An estimate answers bounds, p-values and power; t quantiles are those of printed tables."""

import math

import pytest

from ci.stats import Estimate, minimum_detectable_effect
from ci.stats.interval import quantile


def of(value=0.02, se=0.01, clusters=None, level=0.95):
    return Estimate.of(value, se, n=1000, clusters=clusters, level=level, method="test")


@pytest.mark.parametrize(
    ("df", "probability", "printed"),
    [(math.inf, 0.975, 1.960), (math.inf, 0.95, 1.645), (9, 0.975, 2.262), (9, 0.95, 1.833), (1, 0.975, 12.706)],
)
def test_quantiles_are_those_of_students_table(df, probability, printed):
    assert quantile(probability, df) == pytest.approx(printed, abs=5e-4)


def test_independent_rows_take_the_normal():
    estimate = of()
    assert (estimate.low, estimate.high) == pytest.approx((0.02 - 0.0195996, 0.02 + 0.0195996), abs=1e-6)
    assert estimate.df == math.inf


def test_ten_clusters_take_t_with_nine_degrees():
    estimate = of(clusters=10)
    assert estimate.df == 9
    assert estimate.high - estimate.value == pytest.approx(2.262 * 0.01, abs=1e-5)


@pytest.mark.parametrize("clusters", [None, 12])
def test_one_sided_bounds_and_p_values_agree(clusters):
    estimate = of(clusters=clusters)
    assert estimate.p_above(estimate.lower(0.95)) == pytest.approx(0.05)
    assert estimate.p_below(estimate.upper(0.9)) == pytest.approx(0.1)
    assert estimate.p_above(0.001) + estimate.p_below(0.001) == pytest.approx(1)
    assert estimate.lower(0.975) == pytest.approx(estimate.low)


def test_without_spread_only_a_strict_difference_is_evidence():
    certain = of(value=0.0, se=0.0)
    assert (certain.p_above(-0.005), certain.p_above(0), certain.p_below(0), certain.p_below(0.1)) == (0, 1, 1, 0)


def test_mde_is_the_textbook_2_49_standard_errors():
    # Bloom (1995), table 1: one-sided 5 %, power 80 %: 2.49 standard errors
    assert of().mde() == pytest.approx(2.49 * 0.01, abs=5e-5)
    assert minimum_detectable_effect(1.0, df=9) > minimum_detectable_effect(1.0)


@pytest.mark.parametrize(("value", "se"), [(math.nan, 1), (0, math.nan), (math.inf, 1), (0, math.inf)])
def test_what_is_not_finite_is_no_estimate(value, se):
    with pytest.raises(ValueError, match="not finite"):
        of(value=value, se=se)


def test_levels_and_bounds_are_checked():
    with pytest.raises(ValueError, match="level"):
        of(level=95)
    with pytest.raises(ValueError, match="level"):
        of().lower(1)
    with pytest.raises(ValueError, match="not a number"):
        of().p_above(math.nan)
    with pytest.raises(ValueError, match="standard error"):
        minimum_detectable_effect(-1)
    with pytest.raises(ValueError, match="power"):
        of().mde(power=1)
