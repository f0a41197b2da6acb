"""Values that others published, reproduced; the source of each is in cases/sequential.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ci.verification import bands
from ci.verification.sequential import dirichlet, rate_ratio_band

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases").joinpath("sequential.json").read_text())
RHO = bands.best_rho(100, 0.05)
ONE_SIDED_RHO = bands.best_rho(100, 0.10)


def cases(name: str) -> list[dict[str, Any]]:
    found = [case for case in CASES if case["id"].startswith(name)]
    assert found
    return found


def test_canary_of_counts_stops_where_the_published_one_does() -> None:
    (case,) = cases("savvi")
    arms = np.array([int(letter) for letter in case["arm_sequence"]])
    counts = np.stack([1 - arms, arms], axis=1)
    log_e = dirichlet(counts, case["rho"])
    (above,) = np.nonzero(log_e >= np.log(1 / case["alpha"]))
    stop = int(above[0]) + 1
    assert stop == case["expected"]["stop_n"]
    assert np.exp(-log_e[:stop].max()) == pytest.approx(case["expected"]["p_value"], abs=case["abs_tol"]["p"])
    seen = np.cumsum(counts[:stop], axis=0).tolist()
    lows, highs = zip(*(rate_ratio_band(pair, case["rho"], case["alpha"]) for pair in seen), strict=True)
    assert (max(lows), min(highs)) == pytest.approx(case["expected"]["cs_log_rate_ratio"], abs=case["abs_tol"]["cs"])


SINGLE = {
    "normal_two_sided.best_rho": lambda _: bands.best_rho(100, 0.05),
    "normal_two_sided.log_mixture": lambda _: bands.normal_log_mixture(10, 100, RHO),
    "normal_two_sided.bound": lambda _: bands.normal_bound(100, RHO, 0.05),
    "normal_one_sided.log_mixture": lambda _: bands.normal_log_mixture(10, 100, ONE_SIDED_RHO, one_sided=True),
    "normal_one_sided.bound": lambda _: bands.normal_bound(100, ONE_SIDED_RHO, 0.05, one_sided=True),
    "beta_binomial_two_sided.log_mixture": lambda _: bands.beta_log_mixture(10, 100, 0.2, 0.8, RHO),
    "beta_binomial_two_sided.bound": lambda _: bands.beta_bound(100, 0.2, 0.8, RHO, 0.05),
    "empirical_process_lil_bound": lambda a: bands.band_of_distribution(a["t"], a["alpha"], a["t_min"], a["A"]),
    "double_stitching_bound": lambda a: bands.quantile_bound(a["quantile_p"], a["t"], a["alpha"], a["t_opt"]),
    "bernoulli_confidence_sequence": lambda a: bands.share_band(a["successes"], a["trials"], a["alpha"], a["t_opt"]),
}


@pytest.mark.parametrize(
    ("name", "case"), [(n, c) for n in SINGLE for c in CASES if c["id"] == n], ids=lambda value: str(value)[:60]
)
def test_band_is_the_published_one(name: str, case: dict[str, Any]) -> None:
    assert SINGLE[name](case["args"]) == pytest.approx(
        case["expected"], abs=5e-5 if case["expected"] != [0.0, 1.0] else 0
    )


@pytest.mark.parametrize("case", cases("quantile_ab_p_value"), ids=lambda case: str(case["args"]))
def test_p_value_of_a_shifted_quantile_is_the_published_one(case: dict[str, Any]) -> None:
    args = case["args"]
    a = np.arange(1, args["n"] + 1)
    found = [bands.quantile_p_value(*pair, args["q"], t_opt=args["t_opt"], alpha_opt=args["alpha_opt"])
             for pair in ((a, a + args["offset"]), (a + args["offset"], a))]  # fmt: skip
    assert found == pytest.approx([case["expected"]] * 2, abs=case["abs_tol"])


def test_samples_with_the_same_quantile_or_without_values_prove_nothing() -> None:
    a = np.repeat([1.0, 2.0, 3.0], 50)
    assert bands.quantile_p_value(a, a[::-1], 0.5, t_opt=100, alpha_opt=0.05) == 1
    assert bands.quantile_p_value([], a, 0.5, t_opt=100, alpha_opt=0.05) == 1


def test_every_case_is_used() -> None:
    assert {case["id"] for case in CASES} == {*SINGLE, "savvi poisson canary stop", "quantile_ab_p_value"}


def test_quantile_band_holds_the_true_quantile_and_says_nothing_early() -> None:
    draw = np.random.default_rng(5)
    bounds = np.linspace(0.05, 0.95, 19)
    counts = np.bincount(np.searchsorted(bounds, draw.random(20_000)), minlength=20)
    low, high = bands.quantile_band(bounds.tolist(), counts.tolist(), 0.5, 0.05)
    assert low < 0.5 < high
    assert high - low < 0.16
    assert bands.quantile_band([1.0], [3, 2], 0.5, 0.05) == (0.0, float("inf"))
