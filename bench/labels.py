"""
Labels by days: how often is a release that keeps its quality called worse, and how soon is one that loses it found?

    python -m bench.labels [--reps 200] [--measure wrong|brier] [--out bench/out/labels.json]

Real flights and real models: each is learned up to one month and answers all later ones. For A/A the days of one season are
drawn in blocks (a storm stays a storm): thirty make the evaluation, 120 come after it. For power the calendar is played as
it was. All through the real judge; beside it a test at each day that takes answers for independent (of wrong answers).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, t

from ci.model.scoring import Scorer
from ci.params_verification import Collector, Measure, Verification
from ci.project import find
from ci.rollout.interface import Answer
from ci.verification.alone import odds_times
from ci.verification.judge import Judge
from ci.verification.labels import Cohort, Counted, ripe
from ci.verification.plan import DEFAULTS
from ci.verification.reference import Reference

ROOT = Path(__file__).resolve().parents[1]
LEARNED = ("2013-03-01", "2013-09-01", "2013-11-01")
SEASONS = (("2013-04-01", "2013-05-31"), ("2013-06-01", "2013-07-31"), ("2013-09-01", "2013-10-31"), ("2013-11-15", "2013-12-31"))  # fmt: skip
PLAYED = (("2013-11-01", "2013-11-01"), ("2013-11-01", "2013-12-01"), ("2013-09-01", "2013-09-01"))
EVALUATED, WATCHED = 30, 120
FAR = datetime(2030, 1, 1, tzinfo=UTC)


def worlds(folder: Path, measure: Measure) -> tuple[pd.DataFrame, dict[str, float]]:
    """Learn each model in a clone; return by day and model what answers cost, and how many; and each evaluation's upper end."""
    clone, ends = folder / "clone", {}
    subprocess.run(["git", "clone", "-q", "--no-tags", "--single-branch", str(ROOT), str(clone)], check=True)
    params, counted = clone / "projects/flights/params.yaml", []
    for as_of in (*LEARNED, "2014-01-01"):
        params.write_text(re.sub(r'^as_of: "[\d-]+"', f'as_of: "{as_of}"', params.read_text(), flags=re.MULTILINE))
        steps = ["ingest", "check_data", "prepare", "train", "evaluate"]
        for step in steps if as_of in LEARNED else steps[:1]:
            subprocess.run([sys.executable, "-m", f"steps.{step}", "--project", "flights"], cwd=clone, env=dict(os.environ),
                           check=True, capture_output=True)  # fmt: skip
        if as_of in LEARNED:
            (clone / "models/flights").rename(folder / as_of)
    frame = pd.concat([pd.read_parquet(path) for path in sorted((clone / "data/flights/raw").glob("2013-*.parquet"))])
    frame = frame[frame["late"].notna()]
    day, target = frame["scheduled_departure"].dt.date.astype(str).to_numpy(), frame["late"].astype(bool).to_numpy()
    for as_of in LEARNED:
        answers = Scorer(folder / as_of / "model/model.onnx", find("flights").contract).score(frame)
        evaluated = json.loads((folder / as_of / "evaluation/evaluation.json").read_text())
        ends[as_of] = (evaluated["wrong"] if measure == "wrong" else evaluated["metrics"]["brier"])["high"]
        costs = (answers >= 0.5) != target if measure == "wrong" else (answers - target) ** 2
        wrong = pd.Series(costs).groupby(day).agg(["sum", "count"])
        counted.append(wrong.rename(columns={"sum": (as_of, "wrong"), "count": (as_of, "all")}))
    together = pd.concat(counted, axis=1)
    together.columns = pd.MultiIndex.from_tuples(together.columns)
    return together, ends


def judged(wrong: Any, n: Any, share: float, measure: Measure) -> tuple[Answer, int | None]:
    """Return the answer of the real judge after all days, and the day after which it calls the release worse."""
    first = date(2013, 1, 1)
    cohorts = [Cohort(first + timedelta(days=k), int(a), int(a), float(b)) for k, (b, a) in enumerate(zip(wrong, n, strict=True))]  # fmt: skip
    judge = Judge(
        {"quality": DEFAULTS["quality"].model_copy(update={"measure": measure})},
        Verification(),
        {"quality": Reference(of="evaluation", share=share)},
    )
    judge.add(ripe("quality", Counted(FAR, 1, {"canary": cohorts}, measure), Collector(min_rows=1)).windows)
    found = judge.judged()
    at = found.standings[0].worse_at
    return found.answer, None if at is None else (datetime.fromtimestamp(at, UTC).date() - first).days


def independent(wrong: Any, n: Any, share: float) -> int | None:
    """A one-sided binomial test of all answers so far, after each day, at the same limit."""
    limit = odds_times(share, 1.1)
    tails = binom.sf(np.cumsum(wrong) - 1, np.cumsum(n), limit)
    return next((int(day) + 1 for day in np.flatnonzero(tails < 0.05)), None)


def equal(days: Any, length: int, reps: int, seed: int, measure: Measure) -> dict[str, Any]:
    """Draw a release that keeps its quality, again and again; `days` holds wrong answers and all, (n_days, 2)."""
    draw, ours, theirs = np.random.default_rng(seed), 0, 0

    def drawn(n: int) -> Any:
        starts = draw.integers(0, len(days), n // length + 1)
        return np.concatenate([np.roll(days, -start, axis=0)[:length] for start in starts])[:n]

    for _ in range(reps):
        shares = (evaluated := drawn(EVALUATED))[:, 0] / evaluated[:, 1]
        high = shares.mean() + t.ppf(0.975, EVALUATED - 1) * shares.std(ddof=1) / math.sqrt(EVALUATED)
        later = drawn(WATCHED)
        ours += judged(later[:, 0], later[:, 1], high, measure)[0] is Answer.WORSE
        theirs += measure == "wrong" and independent(later[:, 0], later[:, 1], high) is not None
    return {"days in a block": length, "ours": round(ours / reps, 4), "answers taken for independent": round(theirs / reps, 4) if measure == "wrong" else None,
            "mc_error": round(math.sqrt(max(ours / reps * (1 - ours / reps), 1 / reps) / reps), 4)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=200)
    parser.add_argument("--measure", choices=["wrong", "brier"], default="wrong", help="what an answer costs")
    parser.add_argument("--out", type=Path, default=Path("bench/out/labels.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted, ends = worlds(Path(folder), options.measure)
    found: dict[str, list[Any]] = {"equal": [], "played": []}
    for seed, (start, end) in enumerate(SEASONS):
        days = counted.loc[start:end, LEARNED[0]].to_numpy()
        for length in (1, 3, 5):
            found["equal"].append(
                {"season": f"{start}..{end}", **equal(days, length, options.reps, 10 * seed + length, options.measure)}
            )
            print(found["equal"][-1], flush=True)
    for model, start in PLAYED:
        days = counted.loc[start:, model].to_numpy()
        answer, at = judged(days[:, 0], days[:, 1], ends[model], options.measure)
        told = {"learned up to": model, "live from": start, "limit": round(ends[model], 4), "answer": answer.value,
                "worse from": None if at is None else list(counted.loc[start:].index)[at - 1],
                "by month": (days_of(counted, model, start)).round(3).to_dict()}  # fmt: skip
        found["played"].append(told)
        print(told, flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1))


def days_of(counted: pd.DataFrame, model: str, start: str) -> pd.Series[float]:
    """Return what an answer cost on average, by month."""
    part = counted.loc[start:, model]
    sums = part.groupby(part.index.str[:7]).sum()
    return sums["wrong"] / sums["all"]


if __name__ == "__main__":
    main()
