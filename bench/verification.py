"""
Operating characteristics of the verdicts, by simulation through the real judge, with Monte-Carlo error.

    python -m bench.verification [--reps 300] [--out bench/out/verification.json]

Side by side on the same data: our judge; a two-proportion z-test at each look; fixed thresholds per tick (99 % good,
5 violations allowed); Mann-Whitney over time points as Kayenta uses it, once at the end. Scores that lie elsewhere are
judged by the standard rule `scores` (odds up to twofold are allowed) and by a chi-square test at each look.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta, chi2_contingency, mannwhitneyu

from ci.params_verification import Rule, Verification
from ci.rollout.interface import Answer
from ci.verification.interface import BASELINE, CANARY
from ci.verification.judge import Judge
from ci.verification.plan import DEFAULTS
from ci.verification.windows import Counts, Windows

LOOKS = 60


def windows(n_a: Any, y_a: Any, n_b: Any, y_b: Any, weight: Any, metric: str = "errors") -> Windows:
    """Make one-minute windows of two servers."""
    arms = {
        BASELINE: Counts(("a",), np.stack([y_a, n_a], axis=1)[:, None, :]),
        CANARY: Counts(("b",), np.stack([y_b, n_b], axis=1)[:, None, :]),
    }
    return Windows(metric, 60.0, np.arange(len(n_a)) * 60.0, ("bad", "all"), arms, np.broadcast_to(weight, len(n_a)))


def traffic(draw: np.random.Generator, kind: str, n: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Requests per window of both arms, the weight, and what multiplies the base rate."""
    t = np.arange(LOOKS)
    total = np.full(LOOKS, sum(n), dtype=float)
    weight = np.full(LOOKS, n[1] / sum(n))
    base = np.ones(LOOKS)
    if kind == "drifting base":
        base = np.exp(np.sin(t / 6.0))
    if kind == "weight ramp":
        weight = np.repeat([0.01, 0.05, 0.1, 0.25, 0.5, 0.75], LOOKS // 6)
    if kind == "bursts":
        total = total * np.where(draw.random(LOOKS) < 0.1, 10, 0.5)
    return draw.poisson(total * (1 - weight)), draw.poisson(total * weight), weight, base


def ours(data: Windows, rule: Rule) -> int | None:
    """Return the look at which the judge rolls back, if it does."""
    judge = Judge({data.metric: rule}, Verification(sample_ratio=False))
    judge.add(data)
    found = judge.judged()
    at = found.standings[0].worse_at if found.answer is Answer.WORSE else None
    return None if at is None else int(at // 60)


def z_each_look(data: Windows) -> int | None:
    """A one-sided z-test on all data so far, at each look."""
    a, b = (np.cumsum(data.arms[arm].sum(), axis=0) for arm in (BASELINE, CANARY))
    p = (a[:, 0] + b[:, 0]) / np.maximum(a[:, 1] + b[:, 1], 1)
    se = np.sqrt(p * (1 - p) * (1 / np.maximum(a[:, 1], 1) + 1 / np.maximum(b[:, 1], 1)))
    z = (b[:, 0] / np.maximum(b[:, 1], 1) - a[:, 0] / np.maximum(a[:, 1], 1)) / np.maximum(se, 1e-12)
    return next((int(i) + 1 for i in np.flatnonzero((z > 1.645) & (p > 0))), None)


def fixed(data: Windows, allowed: int = 5) -> int | None:
    """Success rate below 99 % in a window, more than `allowed` times."""
    b = data.arms[CANARY].sum()
    violated = np.flatnonzero(np.cumsum(b[:, 0] > 0.01 * np.maximum(b[:, 1], 1)) > allowed)
    return int(violated[0]) + 1 if len(violated) else None


def kayenta(data: Windows) -> int | None:
    """Mann-Whitney on the windows' rates with a tolerance of .25 at confidence .98, once."""
    counts = [data.arms[arm].sum() for arm in (BASELINE, CANARY)]
    a, b = (found[:, 0] / np.maximum(found[:, 1], 1) for found in counts)
    if not (a.any() or b.any()):
        return None
    shift = a + 0.25 * a.mean()
    return LOOKS if mannwhitneyu(b, shift, alternative="greater").pvalue < 0.01 else None


METHODS = {"z at each look": z_each_look, "fixed threshold": fixed, "mann-whitney once": kayenta}


def setting(
    name: str, kind: str, n: tuple[int, int], rates: tuple[float, float], reps: int, seed: int
) -> dict[str, Any]:
    """Simulate one setting with every method."""
    draw = np.random.default_rng(seed)
    stops: dict[str, list[int | None]] = {
        "ours, no increase allowed": [],
        "ours, default": [],
        **{m: [] for m in METHODS},
    }
    for _ in range(reps):
        n_a, n_b, weight, base = traffic(draw, kind, n)
        y_a, y_b = (draw.binomial(m, np.minimum(rate * base, 1)) for m, rate in ((n_a, rates[0]), (n_b, rates[1])))
        data = windows(n_a, y_a, n_b, y_b, weight)
        stops["ours, no increase allowed"].append(ours(data, Rule(allowed_increase=0.0)))
        stops["ours, default"].append(ours(data, Rule()))
        for method, run in METHODS.items():
            stops[method].append(run(data))
    row: dict[str, Any] = {"setting": name, "traffic": kind, "requests a minute": n, "rates": rates}
    return row | {method: told(found, reps) for method, found in stops.items()}


def one_look(days_s: int = 86_400, metrics: int = 20) -> dict[str, float]:
    """Time a look on a day of one-second windows: the new window, and everything anew as a replay does."""
    draw = np.random.default_rng(0)
    judge = Judge({f"m{i}": Rule() for i in range(metrics)}, Verification(sample_ratio=False))
    made = []
    for i in range(metrics):
        n_a, n_b = draw.poisson(450, days_s), draw.poisson(50, days_s)
        made.append(windows(n_a, draw.binomial(n_a, 0.005), n_b, draw.binomial(n_b, 0.005), 0.1, f"m{i}"))
    start = time.perf_counter()
    for item in made:
        judge.add(item)
    judge.judged()
    everything = time.perf_counter() - start
    looks = []
    for _ in range(5):
        new = [
            windows(np.array([450]), np.array([2]), np.array([50]), np.array([0]), 0.1, f"m{i}") for i in range(metrics)
        ]
        start = time.perf_counter()
        for item in new:
            judge.add(item)
        judge.judged()
        looks.append(time.perf_counter() - start)
    return {"everything_anew_ms": round(everything * 1000, 1), "one_look_ms": round(float(np.median(looks)) * 1000, 1)}


BOUNDS = np.linspace(0.1, 0.9, 9)
SHIFTED = [
    ("A/A scores", "steady", (450, 50), 1.0),
    ("A/A scores", "drifting base", (450, 50), 1.0),
    ("odds of a high score x 2 (allowed)", "steady", (450, 50), 2.0),
    ("odds of a high score x 3", "steady", (450, 50), 3.0),
    ("odds of a high score x 4", "steady", (450, 50), 4.0),
    ("odds of a high score x 4, little traffic", "steady", (95, 5), 4.0),
    ("a constant answer", "steady", (450, 50), None),
]


def buckets(draw: np.random.Generator, n: Any, odds: Any) -> Any:
    """Draw scores as flights have them, with the odds of lying above any cut times `odds`; in tenths, (n_windows, 10)."""
    above = beta.sf(np.array([0.0, *BOUNDS, 1.0]), 1.6, 4.0)
    moved = np.multiply.outer(odds * np.ones(len(n)), above) / (
        1 + np.multiply.outer(odds * np.ones(len(n)) - 1, above)
    )
    return draw.multinomial(n, -np.diff(moved, axis=1))


def shifted(name: str, kind: str, n: tuple[int, int], factor: float | None, reps: int, seed: int) -> dict[str, Any]:
    """Simulate a canary whose scores lie elsewhere: our standard rule, and a chi-square test at each look."""
    draw = np.random.default_rng(seed)
    stops: dict[str, list[int | None]] = {"ours, default": [], "chi-square at each look": []}
    for _ in range(reps):
        n_a, n_b, weight, base = traffic(draw, kind, n)
        a = buckets(draw, n_a, base)
        b = np.eye(10, dtype=int)[[3] * LOOKS] * n_b[:, None] if factor is None else buckets(draw, n_b, base * factor)
        arms = {BASELINE: Counts(("a",), a[:, None, :]), CANARY: Counts(("b",), b[:, None, :])}
        cells = (*map(str, BOUNDS.round(1)), "+Inf")
        data = Windows("scores", 60.0, np.arange(LOOKS) * 60.0, cells, arms, np.broadcast_to(weight, LOOKS))
        stops["ours, default"].append(ours(data, DEFAULTS["scores"]))
        stops["chi-square at each look"].append(_chi_square(a, b))
    row: dict[str, Any] = {"setting": name, "traffic": kind, "requests a minute": n, "odds": factor}
    return row | {method: told(found, reps) for method, found in stops.items()}


def _chi_square(a: Any, b: Any) -> int | None:
    """Test homogeneity of all so far at 5 %, at each look; whatever differs counts, however little."""
    for look in range(1, LOOKS + 1):
        table = np.stack([a[:look].sum(axis=0), b[:look].sum(axis=0)])
        table = table[:, table.sum(axis=0) >= 25]  # an expected five of the canary's tenth, and some
        if table.shape[1] > 1 and table.sum(axis=1).all() and chi2_contingency(table).pvalue < 0.05:
            return look
    return None


def told(found: list[int | None], reps: int) -> dict[str, Any]:
    """Return the share that stopped, its Monte-Carlo error, and when half of those had."""
    hit = [stop for stop in found if stop is not None]
    share = len(hit) / reps
    error = math.sqrt(max(share * (1 - share), 1 / reps) / reps)
    return {"share": round(share, 4), "mc_error": round(error, 4), "median_min": float(np.median(hit)) if hit else None}


SETTINGS = [
    ("A/A .5 %", "steady", (450, 50), (0.005, 0.005)),
    ("A/A .1 %", "steady", (90, 10), (0.001, 0.001)),
    ("A/A .1 %, little traffic", "steady", (19, 1), (0.001, 0.001)),
    ("A/A .5 %", "drifting base", (450, 50), (0.005, 0.005)),
    ("A/A .5 %", "weight ramp", (450, 50), (0.005, 0.005)),
    ("A/A .5 %", "bursts", (450, 50), (0.005, 0.005)),
    (".5 to 1 %", "steady", (450, 50), (0.005, 0.01)),
    (".5 to 2 %", "steady", (450, 50), (0.005, 0.02)),
    (".1 to 1 %", "steady", (90, 10), (0.001, 0.01)),
    ("p99 x 1.3 (over the objective: 1 to 2.2 %, lognormal)", "steady", (450, 50), (0.01, 0.0222)),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("bench/out/verification.json"))
    options = parser.parse_args()
    rows = [setting(*item, options.reps, seed) for seed, item in enumerate(SETTINGS, 11)]
    rows += [shifted(*item, max(1, options.reps // 3), seed) for seed, item in enumerate(SHIFTED, 51)]
    found = {"reps": options.reps, "looks": LOOKS, "settings": rows, "speed": one_look()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1))
    for row in rows:
        shown = {k: (v["share"], v["median_min"]) for k, v in row.items() if isinstance(v, dict)}
        print(row["setting"], row["traffic"], shown)
    print(found["speed"])


if __name__ == "__main__":
    main()
