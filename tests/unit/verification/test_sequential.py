"""The properties that the verdicts rest on: exactness, Ville's inequality, monotone likelihood, split windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nchypergeom_fisher

from ci.verification.odds import RATIOS, Pairs, log_steps
from ci.verification.sequential import OddsRatio, Share, crossed, dirichlet, now, p_value

small = st.integers(0, 40)


@given(
    n_a=st.integers(1, 400),
    n_b=st.integers(1, 400),
    data=st.data(),
    null=st.floats(0.3, 4),
    ratio=st.sampled_from(RATIOS),
)
@settings(max_examples=150, deadline=None)
def test_step_is_the_ratio_of_noncentral_hypergeometric_likelihoods(n_a, n_b, data, null, ratio) -> None:
    y_a, y_b = data.draw(st.integers(0, n_a)), data.draw(st.integers(0, n_b))
    (step,) = log_steps(Pairs.of([n_a], [y_a], [n_b], [y_b]), null, [ratio])[0]
    if y_a + y_b in {0, n_a + n_b}:
        assert step == 0
        return
    args = (n_a + n_b, n_b, y_a + y_b)
    expected = nchypergeom_fisher.logpmf(y_b, *args, null * ratio) - nchypergeom_fisher.logpmf(y_b, *args, null)
    if abs(expected) < 100:  # beyond that scipy's own tails are off
        assert step == pytest.approx(expected, abs=1e-6, rel=1e-5)  # scipy sums its tails to about that


@given(n_a=small, n_b=small, m=small, null=st.floats(0.5, 3), below=st.floats(0.05, 1), ratio=st.sampled_from(RATIOS))
@settings(max_examples=150, deadline=None)
def test_monotone_likelihood_no_odds_within_the_null_expect_a_gain(n_a, n_b, m, null, below, ratio) -> None:
    m = min(m, n_a + n_b)
    low, high = max(0, m - n_a), min(m, n_b)
    y = np.arange(low, high + 1)
    full = np.full(len(y), 1)
    gains = np.exp(log_steps(Pairs(full * n_a, m - y, full * n_b, y), null, [ratio])[:, 0])
    assert (np.diff(gains) >= -1e-9 * gains[1:]).all()
    if 0 < m < n_a + n_b and n_a and n_b:
        chance = nchypergeom_fisher.pmf(y, n_a + n_b, n_b, m, null * below)
        assert float(chance @ gains) <= 1 + 1e-6


def runs(rate_a: float, rate_b: float, seed: int, n: int = 400, windows: int = 60, drifting: bool = False) -> float:
    """Share of simulated canaries that are called worse at any of their looks."""
    draw, called = np.random.default_rng(seed), 0
    for _ in range(n):
        n_a, n_b = draw.poisson(450, windows), draw.poisson(np.linspace(5, 100, windows) if drifting else 50)
        n_b = draw.poisson(50, windows) if np.ndim(n_b) == 0 else n_b
        base = np.exp(np.sin(np.arange(windows) / 5)) if drifting else 1.0
        y_a = draw.binomial(n_a, np.minimum(rate_a * base, 1))
        y_b = draw.binomial(n_b, np.minimum(rate_b * base, 1))
        test = OddsRatio(1.0, above=True)
        test.add(Pairs.of(n_a, y_a, n_b, y_b))
        called += crossed(test, 0.05) is not None
    return called / n


@pytest.mark.parametrize("drifting", [False, True])
def test_ville_equal_releases_are_called_worse_at_most_alpha_of_the_time(drifting: bool) -> None:
    assert runs(0.005, 0.005, seed=1, drifting=drifting) <= 0.05


def test_worse_release_is_called_worse() -> None:
    assert runs(0.005, 0.02, seed=2, n=100) > 0.97


@given(st.lists(st.tuples(small, small, st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_windows_one_by_one_or_all_at_once_are_the_same_to_the_last_bit(rows, data) -> None:
    n_a, n_b, y_a, y_b = (np.array(column) for column in zip(*rows, strict=True))
    pairs = Pairs.of(n_a, np.minimum(y_a, n_a), n_b, np.minimum(y_b, n_b))
    at_once, in_parts = OddsRatio(1.1, above=True), OddsRatio(1.1, above=True)
    at_once.add(pairs)
    place = data.draw(st.integers(0, len(rows)))
    for part in (slice(0, place), slice(place, None)):
        in_parts.add(Pairs(pairs.n_a[part], pairs.y_a[part], pairs.n_b[part], pairs.y_b[part]))
    assert at_once.log_e.tolist() == in_parts.log_e.tolist()


def test_windows_without_requests_or_without_bad_ones_change_nothing() -> None:
    test = OddsRatio(1.1, above=True)
    test.add(Pairs.of([0, 100, 0], [0, 0, 0], [0, 0, 50], [0, 0, 0]))
    assert test.log_e == pytest.approx([0, 0, 0], abs=1e-12)
    assert now(OddsRatio(1.0, above=False)) == 0.0
    assert p_value(test) == pytest.approx(1)


def test_splitting_a_window_of_one_arm_alone_changes_nothing() -> None:
    """Evidence on a share depends on the totals only, however they are cut."""
    whole, split = Share(above=True), Share(above=True)
    whole.add(np.array([100]), np.array([7]), 0.01)
    split.add(np.array([60, 40]), np.array([2, 5]), 0.01)
    assert whole.log_e[-1] == pytest.approx(split.log_e[-1])
    assert dirichlet(np.array([[30, 70]]), [1, 1])[-1] == pytest.approx(
        dirichlet(np.array([[10, 50], [20, 20]]), [1, 1])[-1]
    )


def test_share_shows_that_an_arm_without_errors_is_under_a_limit() -> None:
    test = Share(above=False)
    test.add(np.full(10, 100), np.zeros(10, dtype=int), 0.01)
    assert crossed(test, 0.05) in range(3, 7)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="bad requests"):
        Pairs.of([1], [2], [1], [0])
    with pytest.raises(ValueError, match="windows"):
        Pairs.of([1, 1], [0, 0], [1], [0])
