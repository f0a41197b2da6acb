"""
Canaries of equally good releases under real load: how many does the judge roll back? And how soon is a bad one caught?

    python -m bench.canaries [--runs 20] [--bad 5] [--rate 200] [--out bench/out/canaries.json]

Real servers, a real Envoy, the project's own test rows, alpha = .05. With 20 runs at most one false rollback is the
promise; a hold is no rollback and is counted apart. Bad releases: 2 % of answers are 500, 50 ms slower, a constant
answer, two features swapped. Exposed means: answered by the bad release until it had no traffic any more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from ci.adapters import environments
from ci.errors import Outcome
from tests.e2e import bad
from tests.e2e.canaries import BUNDLE, Canaries, exposed

FAULTS: dict[str, tuple[Any, tuple[float, float] | None]] = {
    "2 % answered with 500": (bad.twin, (0.02, 0.0)),
    "50 ms slower": (bad.twin, (0.0, 0.05)),
    "a constant answer": (bad.constant, None),
    "two features swapped": (bad.swapped, None),
}


def one(folder: Path, rate: float, alter: Any, fault: tuple[float, float] | None) -> dict[str, Any]:
    """Run one canary in a place of its own."""
    place = Canaries(folder / "place", rate=rate)
    try:
        if place.deploy("1.0.0").outcome is not Outcome.PASSED:
            raise RuntimeError("the first release did not go live")
        moved, tally, took = place.try_out("1.1.0", alter(BUNDLE, folder / "bundle"), fault)
        n, failed = exposed(tally, "1.1.0")
        return {"outcome": moved.outcome.value, "message": moved.message, "seconds": round(took, 1), "exposed": n,
                "requests": tally.all, "failed": failed}  # fmt: skip
    finally:
        place.open().stop("bench")


def series(name: str, runs: int, rate: float, alter: Any, fault: tuple[float, float] | None) -> list[dict[str, Any]]:
    """Run the same canary some times."""
    found = []
    for number in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            found.append({"release": name, **one(Path(folder), rate, alter, fault)})
        print(f"{time.strftime('%H:%M:%S')} {name} {number + 1}/{runs}: {found[-1]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--bad", type=int, default=5)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--out", type=Path, default=Path("bench/out/canaries.json"))
    options = parser.parse_args()
    environments.ProcessTarget = bad.FaultyTarget  # type: ignore[misc]
    good = series("equally good", options.runs, options.rate, bad.twin, None)
    ill = [run for name, (alter, fault) in FAULTS.items()
           for run in series(name, options.bad, options.rate, alter, fault)]  # fmt: skip
    counts = {outcome.value: sum(run["outcome"] == outcome.value for run in good) for outcome in Outcome}
    told = {
        "equally good": {"runs": len(good), **{name: number for name, number in counts.items() if number}},
        "false rollbacks": counts["rolled back"],
        "bad and caught": sum(run["outcome"] == "rolled back" for run in ill),
        "bad": len(ill),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"summary": told, "runs": [*good, *ill]}, indent=1))
    print(json.dumps(told))
    sys.exit(0 if counts["rolled back"] <= max(1, options.runs // 20) and told["bad and caught"] == len(ill) else 1)


if __name__ == "__main__":
    main()
