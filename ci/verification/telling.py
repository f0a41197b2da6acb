"""What was seen, as a report says it, with a picture of the evidence over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.errors import Outcome
from ci.files import replacing
from ci.report import Picture, Result, Table
from ci.rollout.interface import Answer
from ci.verification.labels import DAY_S

if TYPE_CHECKING:
    from pathlib import Path

    from ci.rollout.interface import Verdict
    from ci.verification.judge import Judge

_OUTCOMES = {
    Answer.NOT_WORSE: Outcome.PASSED,
    Answer.WORSE: Outcome.REJECTED,
    Answer.NOT_ENOUGH: Outcome.INCONCLUSIVE,
    Answer.INVALID: Outcome.INCONCLUSIVE,
}
_HINTS = {
    Answer.WORSE: "nothing was changed: python -m steps.rollback takes it back",
    Answer.NOT_ENOUGH: "more traffic or a longer `deadline_s`; it never counts as a pass",
    Answer.INVALID: "put right what the message names, then look again",
}


def told(verdict: Verdict, pictures: list[Picture], evidence: Path | None = None) -> Result:
    """Turn a verdict into a result."""
    rows = [
        [c.name, *_pair(c.extra["baseline"]), *_pair(c.extra["canary"]), c.extra["windows"]]
        for c in verdict.checks
        if "canary" in c.extra
    ]
    columns = ["metric", "baseline, bad", "of", "canary, bad", "of", "windows"]
    tables = [Table("Counted", columns, rows, "Both arms over the same closed windows.")] if rows else []
    answer = verdict.answer.value
    return Result(
        verdict.message if verdict.message.startswith(answer) else f"{answer}: {verdict.message}",
        _OUTCOMES[verdict.answer],
        _HINTS.get(verdict.answer, ""),
        checks=verdict.checks,
        facts={"answer": verdict.answer.value, **({"evidence": evidence.as_posix()} if evidence else {})},
        tables=tables,
        pictures=pictures,
        outputs=dict(verdict.evidence),
        data={"answer": verdict.answer.value},
    )


def _pair(counts: tuple[int, int] | None) -> tuple[int | None, int | None]:
    return (None, None) if counts is None else (round(counts[0]), int(counts[1]))


def drawn(judge: Judge, path: Path) -> list[Picture]:
    """Draw the evidence of each metric over time against its thresholds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    followed = [
        item for item in judge.metrics.values() if item.claims and item.windows is not None and len(item.windows)
    ]
    if not followed:
        return []
    figure = Figure(figsize=(8, 1.2 + 1.8 * len(followed)), layout="constrained")
    FigureCanvasAgg(figure)
    days = [item.windows is not None and item.windows.length_s >= DAY_S for item in followed]
    axes = np.atleast_1d(figure.subplots(len(followed), 1, sharex=not any(days)))
    start = min((float(item.windows.starts[0]) for item, by_day in zip(followed, days, strict=True)
                 if item.windows is not None and not by_day), default=0.0)  # fmt: skip
    for axis, item, by_day in zip(axes, followed, days, strict=True):
        if item.windows is None or item.claims is None:
            continue
        seconds = item.windows.starts + item.windows.length_s - start
        if by_day:  # labels come in days of their own calendar
            seconds = np.arange(1.0, len(item.windows) + 1)
            axis.set_xlabel("days with labels", fontsize=8)
        _line(axis, seconds, item.claims.worse.log_e, "#b3261e", "worse")
        for place, claim in enumerate(item.claims.not_worse):
            _line(axis, seconds, claim.log_e, "#1b6e3c", None if place else "not worse")
        if item.rule.critical:
            axis.axhline(-math.log10(item.alpha), color="#b3261e", linestyle=":", linewidth=1)
        axis.axhline(-math.log10(item.go_on_alpha), color="#1b6e3c", linestyle=":", linewidth=1)
        axis.set_ylabel(f"{item.name}\nlog₁₀ evidence", fontsize=8)
        axis.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False
        )  # beside, not over the lines
    if not days[-1]:
        axes[-1].set_xlabel("seconds since the first window")
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=110, metadata={"Software": None})
    return [Picture(path, "Evidence over time; a line that crosses its dotted threshold has proved its claim.")]


def _line(axis: Any, seconds: np.ndarray, log_e: np.ndarray, color: str, label: str | None) -> None:
    """Draw evidence from where it begins, 1 before anything was seen: a single window is a line, too."""
    log10 = log_e / math.log(10)
    axis.plot(np.r_[0.0, seconds], np.r_[0.0, log10], color=color, label=label, marker=".", markersize=4)
