"""
Twelve months of real flights through the whole loop without a person; how wrong is what is live, beside a model that
never learned anew?

    python -m bench.loop [--until 2014-01-01] [--share 0.1] [--out bench/out/loop]

January and February make the first release; a fortnight judges each, so that little waits to be learned from. Then month
after month: replay into the real collection service and through the live front door, `steps.collect`, `repro --only data`,
`publish`; the watch looks at labels and may take a release back; `steps.retrain` learns anew for an incident or when the
project's policy takes the new data version for a reason; what the gate accepts goes through staging and a canary into
production. After each month loop.json, told.txt and loop.png are written anew, and a table with the gain of what was live
over the first release, with a day as one observation.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from tests.e2e.gains import gain, labelled
from tests.e2e.loop import Loop, looping

FIRST = "2013-03-01"


def month(loop: Loop, first: date, share: float) -> dict[str, Any]:
    """Live through one month; tell what happened."""
    end = (first + timedelta(days=32)).replace(day=1)
    began, before = time.monotonic(), loop.live()
    loop.replay(f"{first:%Y-%m}", f"{first:%Y-%m}", share)
    # The last day of a month is settled when the next has begun; so is its last label.
    loop.replay(str(end), str(end + timedelta(days=1)), share) if end.year == first.year else None
    collected = loop.step("collect", "--as-of", str(end), *([] if loop.took_over() else ["--collector"]))
    data = loop.step("repro", "--project", "flights", "--only", "data", codes=(0, 3), project=None)
    published = loop.step("publish", codes=(0, 3, 5))
    loop.commit(f"Data up to {end}")
    looks = [loop.step("watch", "--env", "production", codes=(0, 3, 4, 6)) for _ in range(2)]
    why = loop.step("retrain", "--env", "production", "--as-of", str(end), codes=(0, 3, 4))
    renewed = loop.step("retrain", "--env", "production", "--because", "data", codes=(0, 3, 4))
    moved = None
    for asked in (why, renewed):
        if asked["data"].get("status") == "passed":
            loop.commit(f"Learned up to {end}")
            moved = loop.promote(loop.newest(), asked["message"][:200], (0, 3, 4, 6))["message"]
            break
    return {
        "month": f"{first:%Y-%m}", "live before": before, "live after": loop.live(), "collected": collected["message"],
        "data": data["message"], "published": published["message"], "watch": [look["message"] for look in looks],
        "incident": why["message"], "policy": renewed["message"], "promoted": moved,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def quality(loop: Loop, never: str, before: str) -> dict[str, dict[str, Any]]:
    """By month: the share of wrong answers and the Brier score of what was live, and of the first release on the same flights."""
    by_month: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in labelled(loop.joined()):
        if row["event_time"] < before:  # of the month after it there are a day or two, for the last labels
            by_month[row["event_time"][:7]].append(row)
            by_month["all"].append(row)
    found = {}
    for name, rows in sorted(by_month.items()):
        target = np.array([bool(row["target"]) for row in rows])
        live = np.array([row["predicted"] for row in rows])
        frozen = loop.scored(never, rows)
        better = gain(rows, frozen)
        found[name] = {
            "gain": [better.value, better.low, better.high], "days": better.clusters,
            "predicted": float(live.mean()), "never predicted": float(frozen.mean()),
            "answers": len(rows), "late": float(target.mean()),
            "live wrong": float(((live >= 0.5) != target).mean()), "never wrong": float(((frozen >= 0.5) != target).mean()),
            "live brier": float(((live - target) ** 2).mean()), "never brier": float(((frozen - target) ** 2).mean()),
            "releases": len({row["version"] for row in rows}),
        }  # fmt: skip
    return found


def drawn(by_month: dict[str, dict[str, float]], months: list[dict[str, Any]], path: Path) -> None:
    """Draw both, month by month, with a line where a release went live or was taken back."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    names = [name for name in by_month if name != "all"]
    for axis, what, told in zip(figure.subplots(2, 1, sharex=True), ("wrong", "brier"), ("share of wrong answers", "Brier score"), strict=True):  # fmt: skip
        for who, color in (("live", "#1b6e3c"), ("never", "#b3261e")):
            label = "live" if who == "live" else "the first release, never learned anew"
            axis.plot(range(len(names)), [by_month[n][f"{who} {what}"] for n in names], color=color, marker="o", label=label)  # fmt: skip
        for place, item in enumerate(months):
            if item["live before"] != item["live after"]:
                axis.axvline(place + 0.5, color="#888888", linestyle=":", linewidth=1)
                axis.text(place + 0.52, axis.get_ylim()[1], f"v{item['live after']}", fontsize=7, va="top")
        axis.set_ylabel(told)
        axis.legend(fontsize=8, frameon=False, loc="upper left")
    axis.set_xticks(range(len(names)), names, rotation=45, fontsize=8)
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})


def table(by_month: dict[str, dict[str, Any]]) -> str:
    """Spell both by month, as the docs have it."""
    head = (
        "| month | late | answers | wrong: live | never | Brier: live | never | gain | 95 % by days |\n|" + "---|" * 9
    )
    return "\n".join([head, *(
        f"| {name} | {q['late']:.1%} | {q['answers']:,} | {q['live wrong']:.1%} | {q['never wrong']:.1%} | "
        f"{q['live brier']:.4f} | {q['never brier']:.4f} | {q['gain'][0]:+.4f} | {q['gain'][1]:+.4f} to {q['gain'][2]:+.4f} |"
        for name, q in by_month.items()
    )])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--until", default="2014-01-01", help="first day that is not played")
    parser.add_argument("--share", type=float, default=0.1, help="share of flights that production is asked about")
    parser.add_argument("--out", type=Path, default=Path("bench/out/loop"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, looping(Path(folder), test_days=14) as loop:
        loop.as_of(FIRST)
        loop.commit("The world as of March")
        loop.step("repro", "--project", "flights", project=None)
        never = loop.release()
        loop.promote(never, "the first")
        loop.records("2013-01", "2013-02")
        months, first = [], date.fromisoformat(FIRST)
        while str(first) < options.until:
            months.append(month(loop, first, options.share))
            print(json.dumps(months[-1], indent=1), flush=True)
            (options.out / "told.txt").write_text("\n".join(loop.told))
            first = (first + timedelta(days=32)).replace(day=1)
            by_month = quality(loop, never, str(first))
            found = {
                "first release": never,
                "share": options.share,
                "months": months,
                "quality": by_month,
                "told": loop.told,
            }
            (options.out / "loop.json").write_text(json.dumps(found, indent=1))
            drawn(by_month, months, options.out / "loop.png")
            print(table(by_month), flush=True)


if __name__ == "__main__":
    main()
