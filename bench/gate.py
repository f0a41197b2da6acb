"""
How fast the gate is beside a plain bootstrap: one million test rows, day clusters, twenty slices.

    python bench/gate.py [--rows 1000000] [--draws 5]

Both sides give AUC, log loss, F1 and Brier of two models with intervals, overall and in twenty slices, clustered by day.
The plain side redraws days and calls scikit-learn's metrics on each draw; a few draws are timed and multiplied up to
1,000, which is the usual number. Each side runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

DAYS, SLICES, USUAL_DRAWS = 60, 20, 1000
METRICS = ("auc", "log_loss", "f1", "brier")


def sample(n: int, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Draw days with a mood, slices, labels, and two correlated models' probabilities."""
    rng = np.random.default_rng(seed)
    day = rng.integers(0, DAYS, n)
    mood = rng.normal(size=DAYS)[day]
    y = rng.random(n) < 1 / (1 + np.exp(1 - 0.5 * mood))
    signal = 1.2 * y - 1 + 0.4 * mood + rng.normal(size=n)
    ours, theirs = (1 / (1 + np.exp(-signal - 0.3 * rng.normal(size=n))) for _ in range(2))
    return y.astype(np.int8), ours, theirs, day, rng.integers(0, SLICES, n)


def ours(n: int, _draws: int) -> dict[str, float]:
    """Judge: every metric of both models, their gain, the slices by AUC; then the slices by the other metrics."""
    from ci.gate import Policy, judge
    from ci.stats import difference

    y, a, b, day, part = sample(n)
    start, busy = time.perf_counter(), time.process_time()
    policy = Policy(metrics={"f1": {"margin": 0.005}})
    verdict = judge(y, a, b, task="binary", clusters=day, slices={"part": part}, policy=policy)
    judged = time.perf_counter() - start
    for value in range(SLICES):
        rows = part == value
        for metric in METRICS[1:]:
            difference(metric, y[rows], a[rows], b[rows], clusters=day[rows])
    if not set(METRICS) <= set(verdict.metrics) or any(item.gain is None for item in verdict.slices):
        raise SystemExit("something was not measured")
    return {"judge_s": judged, "total_s": time.perf_counter() - start, "busy_s": time.process_time() - busy}


def plain(n: int, draws: int) -> dict[str, float]:
    """Redraw days with replacement and measure everything again, as tutorials do."""
    from sklearn.metrics import brier_score_loss, f1_score, log_loss, roc_auc_score

    y, a, b, day, part = sample(n)
    rng, rows_of = np.random.default_rng(0), [np.flatnonzero(day == d) for d in range(DAYS)]

    def measured(rows: np.ndarray) -> None:
        for p in (a[rows], b[rows]):
            roc_auc_score(y[rows], p), log_loss(y[rows], p), f1_score(y[rows], p >= 0.5), brier_score_loss(y[rows], p)

    start = time.perf_counter()
    for _ in range(draws):
        rows = np.concatenate([rows_of[d] for d in rng.integers(0, DAYS, DAYS)])
        measured(rows)
        drawn = part[rows]
        for value in range(SLICES):
            measured(rows[drawn == value])
    return {"draws": draws, "total_s": (time.perf_counter() - start) / draws * USUAL_DRAWS}


def alone(side: str, n: int, draws: int) -> dict[str, float]:
    """Run one side in a process of its own; return what it says, with its peak memory in MiB."""
    command = [sys.executable, __file__, "--side", side, "--rows", str(n), "--draws", str(draws)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--draws", type=int, default=5)
    options.add_argument("--side", choices=["ours", "plain"], help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.side:
        found = {"ours": ours, "plain": plain}[given.side](given.rows, given.draws)
        print(json.dumps({**found, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    fast, slow = (alone(side, given.rows, given.draws) for side in ("ours", "plain"))
    print(
        f"{given.rows:,} rows, {DAYS} days, {SLICES} slices; AUC, log loss, F1 and Brier of two models with intervals"
    )
    print(
        f"gate             {fast['total_s']:8.1f} s, judge() {fast['judge_s']:.1f} s of it; "
        f"on the processor {fast['busy_s']:.1f} s; peak {fast['peak_mib']:,.0f} MiB"
    )
    print(
        f"plain bootstrap  {slow['total_s']:8.0f} s for {USUAL_DRAWS:,} draws, from {slow['draws']}; peak {slow['peak_mib']:,.0f} MiB"
    )
    print(f"ratio            {slow['total_s'] / fast['total_s']:8.0f}")


if __name__ == "__main__":
    main()
