"""What a load tells: failures by kind and release, and times to one percent."""

from __future__ import annotations

import numpy as np

from ci.errors import Outcome
from ci.report import Found
from ci.verification.load import Tally, Times, told


def test_quantiles_are_right_to_one_percent() -> None:
    seconds = np.random.default_rng(1).lognormal(-5, 1, 20_000)
    times = Times()
    for value in seconds:
        times.add(float(value))
    for share in (0.5, 0.95, 0.99):
        exact = float(np.quantile(seconds, share)) * 1000
        assert exact * 0.995 <= (times.quantile_ms(share) or 0) <= exact * 1.011
    assert Times().quantile_ms(0.5) is None


def test_one_failed_request_of_thousands_is_a_rejection_and_is_told_by_release() -> None:
    tally = Tally()
    for _ in range(2999):
        tally.add("flights@1.0.0", 0.002)
    tally.add("flights@1.1.0", 0.001, "500")
    result = told(tally, "http://here", 100, 30, 30.0)
    assert result.outcome is Outcome.REJECTED
    assert result.message == "3,000 requests in 30.0 s, 1 failed: 1 × 500"
    assert result.data["releases"]["flights@1.1.0"] == {
        "requests": 1, "failed": 1, "p50_ms": None, "p95_ms": None, "p99_ms": None,
    }  # fmt: skip


def test_nothing_sent_is_no_pass_and_slow_connections_are_told() -> None:
    assert told(Tally(), "http://here", 100, 30, 30.0).outcome is Outcome.REJECTED
    tally = Tally()
    tally.add("flights@1.0.0", 0.5)
    rate = told(tally, "http://here", 100, 1, 1.0).checks[1]
    assert (rate.outcome, rate.message) == (Found.WARNED, "1.0 of 100 requests/s: all connections were waiting for answers")  # fmt: skip
