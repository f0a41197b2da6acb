"""McNemar, Holm and the reuse budget against textbooks."""

import numpy as np
import pytest
from scipy.stats import binomtest

from ci.stats import alpha_spending, holm, mcnemar


def test_mcnemar_is_armitage_and_berrys_table():
    # Armitage & Berry (1994), p. 127: 50 sputum specimens on two media, 20 both, 12 only A, 2 only B, 16 none;
    # exact two-sided P = .0129 (.01293945 = 2 · 106/2^14)
    y = np.ones(50)
    a = np.repeat([1, 1, 0, 0], [20, 12, 2, 16])
    b = np.repeat([1, 0, 1, 0], [20, 12, 2, 16])
    assert mcnemar(y, a, b) == (12, 2, pytest.approx(2 * 106 / 2**14))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 3), (0, 7), (86, 150), (5000, 5200)])
def test_mcnemar_is_the_binomial_test(only_a, only_b):
    y = np.ones(only_a + only_b + 1)
    a = np.r_[np.ones(only_a + 1), np.zeros(only_b)]
    b = np.r_[1, np.zeros(only_a), np.ones(only_b)]
    expected = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    assert mcnemar(y, a, b).p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_checks_lengths():
    for bad in (([], [], []), ([1], [1, 0], [1])):
        with pytest.raises(ValueError, match="mcnemar"):
            mcnemar(*bad)


def test_holm_by_hand():
    # four tests: .005·4, .01·3, then .03·2 = .06 and .04·1 raised to the .06 before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_rs_p_adjust():
    # the figures that R's p.adjust(c(.319, .201, .4, .374, .113), "holm") gives
    assert holm([0.319, 0.201, 0.4, 0.374, 0.113]) == pytest.approx([0.957, 0.804, 0.957, 0.957, 0.565])


def test_holm_rejects_as_the_stepwise_procedure():
    # Holm (1979): from the smallest, reject while p_(i) ≤ α/(m − i + 1), then stop
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.random(rng.integers(1, 12)) ** 3
        rejected = np.zeros(len(p), dtype=bool)
        for step, i in enumerate(np.argsort(p)):
            if p[i] > 0.05 / (len(p) - step):
                break
            rejected[i] = True
        assert ((holm(p) <= 0.05) == rejected).all()


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_holm_refuses_what_is_no_p_value(bad):
    with pytest.raises(ValueError, match="holm"):
        holm([0.1, bad])


def test_no_tests_no_p_values():
    assert holm([]).size == 0


def test_the_budget_of_a_test_set_is_never_overspent():
    spent = [alpha_spending(k) for k in range(1, 2001)]
    assert spent[:3] == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 12])
    assert sum(spent) == pytest.approx(0.05 * (1 - 1 / 2001))
    for k, alpha in ((0, 0.05), (1, 0), (1, 1)):
        with pytest.raises(ValueError, match="alpha_spending"):
            alpha_spending(k, alpha)
