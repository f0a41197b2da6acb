"""The pictures of a data card: how many rows, how far each column moved, and what its values are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.data.drift import MISSING
from ci.model.plots import GOOD, INK, SOFT, WASH, axes
from ci.report import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ci.publishing.profile import Moved, Profiled
    from ci.publishing.versions import Proposal

_RED = "#b3261e"
_MOST_COLUMNS, _MOST_PANELS, _ACROSS, _CATEGORIES = 30, 12, 3, 6


def draw(found: Profiled, changes: Sequence[Moved], proposal: Proposal, target: str, folder: Path) -> list[Picture]:
    """Draw into a folder; what has nothing to show is left out."""
    made = [("periods", f"Rows by period, what arrived or was restated in colour; the line is the mean of {target}", _periods(found, proposal))]  # fmt: skip
    if judged := [item for item in changes if item.finding]:
        made.append(("drift", f"How far each column moved in {found.newest}, in units of what is ordinary for it", _drift(judged)))  # fmt: skip
    shown = [item.name for item in changes if found.counts(item.name, [found.newest])][:_MOST_PANELS]
    if shown:
        season = found.season()
        with_season = f" and {season}" if season else ""
        caption = (
            f"Values in {found.newest} beside all earlier periods{with_season}: shares up to a value, or of a value"
        )
        made.append(("distributions", caption, _distributions(found, shown, season)))
    pictures = []
    for name, caption, figure in made:
        figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
        pictures.append(Picture(folder / f"{name}.png", caption))
    return pictures


def _periods(found: Profiled, proposal: Proposal) -> Any:
    figure, ax = axes(width=max(6.0, min(12.0, 0.32 * len(found.periods) + 2)), height=3.4)
    places = np.arange(len(found.periods))
    news = {*proposal.arrived, *proposal.restated}
    colors = [GOOD if name in news else SOFT for name in found.periods]
    ax.bar(places, [found.rows[name] for name in found.periods], color=colors, width=0.8)
    every = max(1, math.ceil(len(places) / 24))
    ax.set_xticks(places[::every], found.periods[::every], rotation=60, ha="right", fontsize=8)
    ax.set_ylabel("rows", fontsize=9.5)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    if found.target:
        right = ax.twinx()
        right.spines[["top", "left", "bottom"]].set_visible(False)
        right.spines["right"].set_color(SOFT)
        known = [place for place, name in enumerate(found.periods) if name in found.target]
        right.plot(known, [found.target[found.periods[place]] for place in known], "o-", color=INK, markersize=3.5, linewidth=1.2)  # fmt: skip
        right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
        right.tick_params(colors=INK, labelsize=9)
    return figure


def _drift(changes: Sequence[Moved]) -> Any:
    drawn = changes[:_MOST_COLUMNS][::-1]
    figure, ax = axes(height=max(1.8, 0.26 * len(drawn) + 1.0))
    ax.barh(range(len(drawn)), [item.share for item in drawn], height=0.62,
            color=[_RED if item.finding and item.finding.drifted else SOFT for item in drawn])  # fmt: skip
    ax.axvline(1.0, color=INK, linewidth=1.4)
    ax.set_yticks(range(len(drawn)), [item.name[:30] for item in drawn], fontsize=9)
    ax.set_ylim(-0.6, len(drawn) - 0.4)
    if max(item.share for item in drawn) > 20:
        ax.set_xscale("symlog", linthresh=2)
    ax.set_xlabel("PSI in units of its limit, in black; red has drifted", fontsize=9.5)
    return figure


def _distributions(found: Profiled, names: Sequence[str], season: str | None) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    down = math.ceil(len(names) / _ACROSS)
    figure = Figure(figsize=(9.6, 2.2 * down + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, _ACROSS, squeeze=False)
    sides = [("earlier", found.periods[:-1], SOFT), (season or "", [season] if season else [], INK),
             (found.newest, [found.newest], GOOD)]  # fmt: skip
    drawn = [(label, periods, color) for label, periods, color in sides if periods]
    for place, ax in enumerate(grid.flat):
        if place >= len(names):
            ax.set_axis_off()
            continue
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(SOFT)
        ax.tick_params(colors=INK, labelsize=7.5)
        ax.set_title(names[place][:34], fontsize=9, color=INK, loc="left")
        counts = {label: found.counts(names[place], periods) for label, periods, _ in drawn}
        colors = {label: color for label, _, color in drawn}
        if found.profile.numeric(names[place]):
            _cumulative(ax, found.profile.edges(names[place]), counts, colors)
        else:
            _shares(ax, counts, colors)
    handles = [_handle(color) for _, _, color in drawn]
    figure.legend(
        handles, [label for label, _, _ in drawn], loc="outside upper right", ncols=3, frameon=False, fontsize=9
    )
    return figure


def _handle(color: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, linewidth=3)


def _cumulative(ax: Any, edges: Any, counts: Mapping[str, Mapping[str, int]], colors: Mapping[str, str]) -> None:
    for label, found in counts.items():
        known = {code: n for code, n in found.items() if code != MISSING}
        total = sum(known.values())
        if total and len(edges):
            shares = np.cumsum([known.get(f"{code:03d}", 0) for code in range(len(edges))]) / total
            ax.step(edges, shares, where="post", color=colors[label], linewidth=1.4)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    ax.grid(axis="y", color=WASH, linewidth=0.7)


def _shares(ax: Any, counts: Mapping[str, Mapping[str, int]], colors: Mapping[str, str]) -> None:
    total: dict[str, int] = {}
    for found in counts.values():
        for value, n in found.items():
            total[value] = total.get(value, 0) + n
    values = sorted(total, key=lambda value: (-total[value], value))[:_CATEGORIES]
    width = 0.8 / len(counts)
    for place, (label, found) in enumerate(counts.items()):
        whole = max(sum(found.values()), 1)
        at = np.arange(len(values)) + (place - (len(counts) - 1) / 2) * width
        ax.bar(at, [found.get(value, 0) / whole for value in values], width=width, color=colors[label])
    ax.set_xticks(range(len(values)), [value[:8] for value in values], fontsize=7.5)
    ax.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
