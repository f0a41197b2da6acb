"""Drift: PSI against values computed by hand, the noise floor, a column's own past, seasons, vanished values."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ci.data import drift
from ci.data.drift import MISSING, Profile, find, noise_floor, psi
from ci.params import Drift
from tests import shop

SETTINGS = Drift()


def by_hand(reference: list[int], current: list[int]) -> float:
    """Σ (q−p)·ln(q/p) with half a row more in each bin."""
    p, q = ([n + 0.5 for n in counts] for counts in (reference, current))
    return sum((b / sum(q) - a / sum(p)) * math.log((b / sum(q)) / (a / sum(p))) for a, b in zip(p, q, strict=True))


def test_psi_of_a_textbook_table() -> None:
    """Shares 50/30/20 % against 40/30/30 %: (.4−.5)ln(.4/.5) + (.3−.2)ln(.3/.2) = .0223144 + .0405465."""
    value, bins = psi(
        {"a": 5_000_000, "b": 3_000_000, "c": 2_000_000},
        {"a": 4_000_000, "b": 3_000_000, "c": 3_000_000},
        numeric=False,
    )
    assert value == pytest.approx(0.0628609, abs=1e-6)
    assert bins == 3


def test_psi_with_an_empty_bin_is_finite_and_as_computed_by_hand() -> None:
    value, _ = psi({"a": 90, "b": 10}, {"a": 60, "c": 40}, numeric=False)
    assert value == pytest.approx(by_hand([90, 10, 0], [60, 0, 40]))


def test_equal_shares_have_no_psi() -> None:
    value, _ = psi({"a": 100_000, "b": 50_000}, {"a": 200_000, "b": 100_000}, numeric=False)
    assert value == pytest.approx(0, abs=1e-6)


def test_missing_values_are_a_bin_of_their_own() -> None:
    value, bins = psi({"a": 900, MISSING: 100}, {"a": 500, MISSING: 500}, numeric=False)
    assert bins == 2
    assert value == pytest.approx(by_hand([900, 100], [500, 500]))


def test_rare_categories_are_one_bin() -> None:
    reference = {"a": 10_000, **{f"rare{place}": 1 for place in range(30)}}
    assert psi(reference, reference, numeric=False)[1] == 2


def test_bins_of_numbers_are_merged_to_about_ten_of_equal_mass() -> None:
    reference = {f"{place:03d}": 100 for place in range(60)}
    value, bins = psi(reference, dict.fromkeys(reference, 50), numeric=True)
    assert bins == 10
    assert value == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("degrees", [1, 2, 3, 9, 10, 101, 1000])
def test_the_chi_square_quantile_is_that_of_scipy(degrees: int) -> None:
    from scipy.special import chdtri

    assert noise_floor(2, 2, degrees + 1) == pytest.approx(float(chdtri(degrees, 0.001)), rel=1e-13)


def test_the_noise_floor_is_the_chi_square_quantile() -> None:
    """χ²(9) at .999 is 27.877 (tables); PSI·nm/(n+m) follows it where nothing changed."""
    assert noise_floor(1000, 1000, 10) == pytest.approx(27.877 * 2 / 1000, rel=1e-4)
    assert noise_floor(30_000, 10_000, 10) == pytest.approx(27.877 * (1 / 30_000 + 1 / 10_000), rel=1e-4)


def test_chance_alone_stays_below_the_floor() -> None:
    draw = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    above = 0
    for _ in range(300):
        before, after = draw.multinomial(3000, shares), draw.multinomial(1000, shares)
        counts = [{str(place): int(n) for place, n in enumerate(side)} for side in (before, after)]
        above += psi(*counts, numeric=False)[0] > noise_floor(3000, 1000, 10)
    assert above <= 3  # .3 are expected


def months(*shares: float, n: int = 10_000, first: int = 1) -> dict[str, Counter[str]]:
    """A column of two values, the share of `a` per month."""
    made = {}
    for place, share in enumerate(shares):
        month = first + place
        made[f"{2024 + (month - 1) // 12}-{(month - 1) % 12 + 1:02d}"] = Counter(
            {"a": round(n * share), "b": round(n * (1 - share))}
        )
    return made


def judged(counts: dict[str, Counter[str]], settings: Drift = SETTINGS, *, numeric: bool = False) -> drift.Finding:
    finding = find(counts, "x", settings, numeric=numeric)
    assert finding is not None
    return finding


def test_a_first_period_has_nothing_to_drift_from() -> None:
    assert find(months(0.5), "x", SETTINGS, numeric=False) is None


def test_a_jump_is_drift() -> None:
    finding = judged(months(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8))
    assert finding.drifted
    assert finding.settled
    assert finding.psi == pytest.approx(by_hand([15_000, 15_000], [8000, 2000]), rel=1e-3)
    assert finding.limit == 0.1


def test_a_small_step_is_none_however_significant() -> None:
    finding = judged(months(*[0.5] * 7, 0.55, n=1_000_000))
    assert finding.floor < finding.psi < finding.limit
    assert not finding.drifted


def test_few_rows_prove_nothing() -> None:
    finding = judged(months(*[0.5] * 7, 0.8, n=20))
    assert finding.psi > SETTINGS.psi
    assert finding.limit == finding.floor > finding.psi
    assert not finding.drifted


def test_a_column_that_always_moves_may_move() -> None:
    finding = judged(months(0.3, 0.7, 0.3, 0.7, 0.3, 0.7, 0.3, 0.7), Drift(reference_periods=1))
    assert finding.psi > SETTINGS.psi
    assert finding.limit == finding.past is not None
    assert not finding.drifted


def test_the_usual_is_the_median_of_the_past_and_three_robust_deviations() -> None:
    finding = judged(months(0.5, 0.5, 0.6, 0.5, 0.7, 0.5, 0.5, 0.5))
    past = [
        drift.psi(before, after, numeric=False)[0]
        for before, after in (
            ({"a": 5000, "b": 5000}, {"a": 5000, "b": 5000}),
            ({"a": 10_000, "b": 10_000}, {"a": 6000, "b": 4000}),
            ({"a": 16_000, "b": 14_000}, {"a": 5000, "b": 5000}),
            ({"a": 16_000, "b": 14_000}, {"a": 7000, "b": 3000}),
            ({"a": 18_000, "b": 12_000}, {"a": 5000, "b": 5000}),
            ({"a": 17_000, "b": 13_000}, {"a": 5000, "b": 5000}),
        )
    ]
    median = float(np.median(past))
    assert finding.past == pytest.approx(median + 3 * 1.4826 * float(np.median(np.abs(np.array(past) - median))))


def test_a_season_that_comes_every_year_is_no_drift() -> None:
    year = [0.5] * 11 + [0.8]
    finding = judged(months(*year, *year))
    assert finding.psi > finding.limit
    assert finding.season_psi == pytest.approx(0, abs=1e-6)
    assert not finding.drifted


def test_another_december_than_last_year_is_drift() -> None:
    assert judged(months(*[0.5] * 11, 0.6, *[0.5] * 11, 0.9)).drifted


def test_too_little_history_settles_nothing() -> None:
    finding = judged(months(0.5, 0.5, 0.9))
    assert finding.drifted
    assert not finding.settled


def test_new_and_vanished_values_are_told() -> None:
    counts = months(*[0.5] * 4)
    counts["2024-05"] = Counter({"a": 5000, "c": 5000, MISSING: 10})
    finding = judged(counts)
    assert (finding.new, finding.gone) == (["c"], ["b"])
    assert finding.new_share == pytest.approx(5000 / 10_010)


def test_a_value_that_was_rare_may_stay_away() -> None:
    counts = months(*[0.5] * 3)
    counts["2024-03"]["rare"] = 5
    counts["2024-04"] = Counter({"a": 5000, "b": 5000})
    assert judged(counts).gone == []


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_the_profile_counts_features_and_target_but_neither_meta_nor_moments() -> None:
    profile = Profile(shop.contract(columns={"seen": {"type": "datetime"}}))
    assert list(profile.counts) == ["age", "spent", "town", "member", "back"]


def test_numbers_are_counted_in_the_bins_of_the_first_period_that_has_any() -> None:
    profile = Profile(shop.contract())
    profile.add("2024-01", frame(age=[None] * 100, town=["York"] * 100))
    profile.add("2024-02", frame(age=np.arange(100.0), town=["York"] * 100))
    profile.add("2024-03", frame(age=np.arange(100.0) + 50, town=["Köln"] * 100))
    assert profile.counts["age"]["2024-01"] == Counter({MISSING: 100})
    assert sum(profile.counts["age"]["2024-02"].values()) == 100
    assert len(profile.counts["age"]["2024-02"]) == drift.GRID
    assert profile.numeric("age")
    assert not profile.numeric("town")


@pytest.mark.parametrize(
    "values",
    [[np.inf] * 5, [np.inf, -np.inf, 1.0, 2.0, np.nan], ["x", "y"], [None, None], []],
    ids=["inf", "mixed", "text", "none", "empty"],
)
def test_what_cannot_be_binned_is_left_to_the_contract(values: list[Any]) -> None:
    profile = Profile(shop.contract())
    profile.add("2024-01", frame(spent=values))
    assert sum(profile.counts["spent"]["2024-01"].values()) <= len(values)


def test_constant_numbers_have_one_bin_and_notice_that_they_moved() -> None:
    profile = Profile(shop.contract())
    for place in range(1, 9):
        profile.add(f"2024-{place:02d}", frame(spent=[3.0] * 1000))
    profile.add("2024-09", frame(spent=[4.0] * 1000))
    finding = judged(profile.counts["spent"], numeric=True)
    assert finding.drifted
