"""What a load found: requests by the release that answered, how they failed, how long they took."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.errors import Outcome
from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEPS = 100  # buckets per factor of e: times are kept to 1 %, in little room however long a load lasts
_ON_TIME = 0.95
NOBODY = "nobody"


@dataclass
class Times:
    """Latencies in buckets whose bounds grow by 1 %."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[math.ceil(math.log(max(seconds, 1e-6)) * _STEPS)] += 1

    def quantile_ms(self, share: float) -> float | None:
        """Return the upper bound of the bucket in which the quantile lies, milliseconds; None without any."""
        left = share * self.counts.total()
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return math.exp(bucket / _STEPS) * 1000
        return None


@dataclass
class Tally:
    """Requests that ended; `failed` counts by release and kind, such as `500` or `no answer in time`."""

    requests: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    times: dict[str, Times] = field(default_factory=dict)

    def add(self, release: str, seconds: float, problem: str = "") -> None:
        """Count one request; only what was answered well has a time that means anything."""
        self.requests[release] += 1
        if problem:
            self.failed[release, problem] += 1
        else:
            self.times.setdefault(release, Times()).add(seconds)

    @property
    def all(self) -> int:
        """All requests."""
        return self.requests.total()

    @property
    def failures(self) -> int:
        """All that failed."""
        return self.failed.total()


def told(tally: Tally, door: str, rate: float, seconds: float, took_s: float) -> Result:
    """Say what came of it; any failed request is a rejection, and so is a load of which nothing was sent."""
    kinds = Counter[str]()
    for (_, problem), number in tally.failed.items():
        kinds[problem] += number
    what = ", ".join(f"{number:,} × {problem}" for problem, number in kinds.most_common(5))
    message = f"{tally.all:,} requests in {took_s:.1f} s, " + (f"{tally.failures:,} failed: {what}" if what else "none failed")  # fmt: skip
    achieved = tally.all / took_s if took_s > 0 else 0.0
    checks = [
        Check("requests", Found.REJECTED if tally.failures or not tally.all else Found.PASSED, message,
              observed=tally.failures, limit=0, n=tally.all),
        _kept_up(achieved, rate),
    ]  # fmt: skip
    rows = [_row(name, tally) for name in sorted(tally.requests)]
    columns = ["answered by", "requests", "failed", "p50 ms", "p95 ms", "p99 ms"]
    return Result(
        message, Outcome.REJECTED if tally.failures or not tally.all else Outcome.PASSED, checks=checks,
        facts={"front door": door, "asked for": f"{rate:g} requests/s for {seconds:g} s", "sent": f"{achieved:.1f} requests/s"},
        tables=[Table("By release", columns, rows, "Times of good answers alone, to 1 %, from sending to the last byte.")],
        data={"requests": tally.all, "failed": tally.failures, "rate": achieved, "releases": _as_data(tally)},
    )  # fmt: skip


def _kept_up(achieved: float, rate: float) -> Check:
    slow = achieved < rate * _ON_TIME
    text = f"{achieved:.1f} of {rate:g} requests/s" + (": all connections were waiting for answers" if slow else "")
    return Check("rate", Found.WARNED if slow else Found.PASSED, text, round(achieved, 2), rate)


def _row(name: str, tally: Tally) -> list[Any]:
    times = tally.times.get(name, Times())
    failed = sum(number for (release, _), number in tally.failed.items() if release == name)
    quantiles = [times.quantile_ms(share) for share in (0.5, 0.95, 0.99)]
    return [name, tally.requests[name], failed, *(None if q is None else round(q, 2) for q in quantiles)]


def _as_data(tally: Tally) -> Mapping[str, Any]:
    keys = ("requests", "failed", "p50_ms", "p95_ms", "p99_ms")
    return {name: dict(zip(keys, _row(name, tally)[1:], strict=True)) for name in sorted(tally.requests)}
