"""The gate's pictures: where each interval lies against its limit, and how both models are calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ci import stats
from ci.contract import Task
from ci.files import replacing_folder
from ci.model.plots import GOOD, INK, SOFT, axes
from ci.report import Found, Picture
from ci.templating import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ci.data.rows import Array
    from ci.gate.heldout import HeldOut
    from ci.report import Check, Result

_COLORS = {
    Found.PASSED: "#14713f",
    Found.REJECTED: "#b3261e",
    Found.INCONCLUSIVE: "#8a5a00",
    Found.WARNED: "#8a5a00",
    Found.SKIPPED: SOFT,
}
_GREY = "#5b6875"  # of letters; lines may be lighter
_MOST = 40
_NAME = 30
_FAR = 15.0
_TICKS = (-100, -30, -10, -4, -1, 0, 1, 4, 10, 30, 100)


def curves(rows: HeldOut, answers: Mapping[str, Array | None]) -> dict[str, list[dict[str, float]]]:
    """Return the calibration curve of each model: bins with `predicted`, `observed` and, for labels, `low`, `high`."""
    return {
        whose: _curve(rows, found) for whose, found in answers.items() if found is not None and np.isfinite(found).all()
    }


def draw(found: Result, folder: Path) -> list[Picture]:
    """Draw a result, fresh or remembered, into `folder`."""
    made = {}
    if compared := _comparable(found.checks):
        caption = "Gains with their intervals: right of its limit one passes, left of it it is rejected"
        caption += "; slices after Holm's correction, grey where too few rows can tell"
        made["intervals"] = (_intervals(compared, found.message), caption)
    if drawn := {whose: bins for whose, bins in found.data.get("curves", {}).items() if bins}:
        made["calibration"] = (_calibration(drawn), "Predicted against observed, by tenths of the answers")
    limited = [check for check in found.checks if check.extra.get("kind") in {"floor", "skill"} and check.interval]
    if limited and (not compared or len(limited) > 1):  # skill alone is no news beside a comparison
        made["limits"] = (_limits(limited), "Absolute limits, and the gain over a constant answer")
    with replacing_folder(folder) as beside:
        for name, (figure, _) in made.items():
            figure.savefig(beside / f"{name}.png", dpi=110, metadata={"Software": None})
    return [Picture(folder / f"{name}.png", caption) for name, (_, caption) in made.items()]


def _curve(rows: HeldOut, answers: Array) -> list[dict[str, float]]:
    task, y, clusters = rows.contract.task, rows.y, rows.clusters
    if task is Task.BINARY and answers.min() >= 0 and answers.max() <= 1:
        return [item._asdict() for item in stats.calibration_curve(y, answers, clusters=clusters)]
    if task is Task.MULTICLASS:
        right = (answers.argmax(axis=1) == y).astype(np.float64)
        return [item._asdict() for item in stats.calibration_curve(right, answers.max(axis=1), clusters=clusters)]
    parts = [part for part in np.array_split(np.argsort(answers, kind="stable"), 10) if len(part)]
    return [{"predicted": float(answers[part].mean()), "observed": float(y[part].mean())} for part in parts]


def _comparable(checks: Sequence[Check]) -> list[Check]:
    """Choose the checks whose gain can be drawn in margins, the deciding kinds first."""
    drawn = [check for check in checks if check.interval and check.extra.get("margin")]
    return drawn[:_MOST]


def _intervals(checks: Sequence[Check], message: str) -> Any:
    """Each in its margins, one below the other; the question that decided in bold."""
    figure, ax = axes(height=max(2.4, 0.26 * len(checks) + 1.0))
    ax.axvline(0, color=SOFT, linewidth=1)
    for place, check in enumerate(reversed(checks)):
        unit = float(check.extra["margin"])
        low, high = (end / unit for end in check.interval or (0.0, 0.0))
        color = _COLORS[check.outcome]
        ax.plot([low, high], [place, place], color=color, linewidth=2.4, solid_capstyle="round")
        ax.plot(float(check.observed or 0) / unit, place, "o", color=color, markersize=5)
        limit = float(check.limit or 0) / unit
        ax.plot([limit, limit], [place - 0.38, place + 0.38], color=INK, linewidth=1.6)
    ax.set_yticks(range(len(checks)), [_short(check.name) for check in reversed(checks)], fontsize=9.5)
    for label, check in zip(ax.get_yticklabels(), reversed(checks), strict=True):
        decided = message.startswith(f"{check.name}: ")
        color = _GREY if check.outcome is Found.SKIPPED else _COLORS[check.outcome]
        label.set(color=INK if decided else color, fontweight="bold" if decided else "normal")
    ax.set_ylim(-0.7, len(checks) - 0.3)
    if max(np.abs(ax.get_xlim())) > _FAR:  # one slice far out must not squeeze all others
        ax.set_xscale("symlog", linthresh=4, linscale=1.6)
        ax.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        ax.minorticks_off()
    ax.set_xlabel("← worse        gain in margins, limits in black        better →", fontsize=9.5)
    return figure


def _short(name: str) -> str:
    """Name a question in the room there is: `slice carrier=AA` is `carrier=AA`."""
    plain = name.removeprefix("slice ")
    return plain if len(plain) <= _NAME else f"{plain[: _NAME - 1]}…"


def _limits(checks: Sequence[Check]) -> Any:
    """Each in its own unit, so each in a row of its own, from limit (black) to interval; right is good."""
    figure, ax = axes(height=max(1.8, 0.62 * len(checks) + 0.8))
    for place, check in enumerate(reversed(checks)):
        limit, ends, at = float(check.limit or 0), check.interval or (0.0, 0.0), float(check.observed or 0)
        error = check.extra["kind"] == "floor" and stats.lookup(check.extra["metric"]).direction < 0
        unit = (max(abs(end - limit) for end in ends) or 1.0) * (-1 if error else 1)
        color = _COLORS[check.outcome]
        ax.plot([(end - limit) / unit for end in ends], [place, place], color=color, linewidth=2.4)
        ax.plot((at - limit) / unit, place, "o", color=color, markersize=5)
    ax.axvline(0, color=INK, linewidth=1.6)
    names = [f"{check.name}\n{cell(check.observed)}, limit {cell(check.limit)}" for check in reversed(checks)]
    ax.set_yticks(range(len(checks)), names, fontsize=9.5)
    ax.set_xticks([])
    ax.set_ylim(-0.6, len(checks) - 0.4)
    ax.set_xlabel("← past the limit        limit in black        within →", fontsize=9.5)
    return figure


def _calibration(drawn: Mapping[str, list[dict[str, float]]]) -> Any:
    figure, ax = axes()
    points = [point for bins in drawn.values() for point in bins]
    ends = [
        min(min(p["predicted"], p["observed"]) for p in points),
        max(max(p["predicted"], p["observed"]) for p in points),
    ]
    ax.plot(ends, ends, color=SOFT, linestyle="--", linewidth=1)
    for whose, color in (("champion", SOFT), ("challenger", GOOD)):
        if bins := drawn.get(whose):
            x, y = (np.array([point[name] for point in bins]) for name in ("predicted", "observed"))
            reach = [np.abs(y - [point.get(end, point["observed"]) for point in bins]) for end in ("low", "high")]
            ax.errorbar(x, y, yerr=reach, fmt="o-", color=color, capsize=2, markersize=4, linewidth=1.3, label=whose)
    ax.set(xlabel="predicted", ylabel="observed")
    ax.ticklabel_format(style="plain")
    ax.legend(frameon=False, fontsize=9)
    return figure
