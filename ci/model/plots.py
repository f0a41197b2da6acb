"""Pictures of an evaluation: PNG for reports and cards, CSV for `dvc plots`; the same data gives the same bytes."""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.aside import ready
from ci.contract import Task
from ci.report import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from ci.contract import Contract
    from ci.data.rows import Array
    from ci.model.evaluate import Scored

INK, GOOD, SOFT, WASH = "#1d2733", "#22577a", "#9fb3c2", "#dfe5ea"
_MOST_SLICES = 30
_CAPTIONS = {
    Task.BINARY: "When it says 30 %, is it 30 %? Bars: 95 % intervals",
    Task.MULTICLASS: "Its first choice: how sure it says it is, and how often it is right",
    Task.REGRESSION: "Mean of what it predicts and of what happened, by tenths of the predictions",
    Task.RANKING: "Share of positives by tenths of the score",
}
_OTHERS = {
    "scores": "What it answers, by what really happened",
    "predicted": "Predicted against actual; darker is more rows",
    "slices": "For whom is it worse? The line is the whole test set",
}


@contextmanager
def painter() -> Iterator[Callable[[bytes], bytes]]:
    """Yield what paints: a child that loads matplotlib in the meantime, unless it is loaded here already."""
    if "matplotlib" in sys.modules:
        yield painted
        return
    with ready(axes, painted) as paint:
        yield paint


def draw(
    contract: Contract, document: Mapping[str, Any], scored: Scored, folder: Path, paint: Callable[[bytes], bytes]
) -> list[Picture]:
    """Write calibration.csv and slices.csv into `folder`, and pictures/ beside them; return the pictures."""
    _calibration_csv(document, folder)
    _slices_csv(document, folder)
    pictures = folder / "pictures"
    pictures.mkdir()
    target = {"task": contract.task, "name": contract.target, "unit": contract.columns[contract.target].unit}
    what = json.dumps({"target": target, "document": document}).encode()
    files = _unpacked(paint(_packed(y=scored.y, scores=scored.scores, what=np.frombuffer(what, dtype="uint8"))))
    captions = {"calibration": _CAPTIONS[contract.task], **_OTHERS}
    made = [Picture(pictures / f"{name}.png", captions[name]) for name in files]
    for picture, png in zip(made, files.values(), strict=True):
        picture.path.write_bytes(png.tobytes())
    return made


def painted(given: bytes) -> bytes:
    """Paint what `draw` asks for: arrays in, PNG files by their names out, both in NumPy's format."""
    arrays = _unpacked(given)
    what, y, scores = json.loads(arrays["what"].tobytes()), arrays["y"], arrays["scores"]
    target, document, made = what["target"], what["document"], {}
    made["calibration"] = _png(_calibration(document, target))
    if target["task"] == Task.BINARY:
        made["scores"] = _png(_score_histogram(y, scores, target))
    elif target["task"] == Task.REGRESSION:
        made["predicted"] = _png(_predicted(y, scores, target))
    if any(item["value"] is not None for item in document["slices"]):
        made["slices"] = _png(_slices(document))
    return _packed(**made)


def _png(figure: Any) -> Array:
    file = io.BytesIO()
    figure.savefig(file, dpi=110, metadata={"Software": None})
    return np.frombuffer(file.getvalue(), dtype="uint8")


def _packed(**arrays: Array) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _unpacked(packed: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return dict(arrays)


def axes(width: float = 6.0, height: float = 4.2) -> tuple[Any, Axes]:
    """Make a figure without a display, in the house's style."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    made = figure.add_subplot()
    made.spines[["top", "right"]].set_visible(False)
    made.spines[["left", "bottom"]].set_color(SOFT)
    made.tick_params(colors=INK, labelsize=9)
    return figure, made


def _calibration(document: Mapping[str, Any], target: Mapping[str, Any]) -> Any:
    figure, ax = axes()
    bins = document["calibration"]["bins"]
    x, y = np.array([b["predicted"] for b in bins]), np.array([b["observed"] for b in bins])
    errors = np.abs(np.array([[b["low"], b["high"]] for b in bins]).T - y)
    ends = [float(min(x.min(), (y - errors[0]).min())), float(max(x.max(), (y + errors[1]).max()))]
    ax.plot(ends, ends, color=SOFT, linestyle="--", linewidth=1)
    ax.errorbar(x, y, yerr=errors, fmt="o-", color=GOOD, ecolor=SOFT, capsize=3, markersize=5)
    ax.set(xlabel=f"predicted{_unit(target)}", ylabel="observed")
    ax.ticklabel_format(style="plain")
    return figure


def _score_histogram(y: Array, scores: Array, target: Mapping[str, Any]) -> Any:
    figure, ax = axes()
    bins = [place / 40 for place in range(41)]
    for label, color in ((0, SOFT), (1, GOOD)):
        name = f"{target['name']}: {'yes' if label else 'no'}"
        ax.hist(scores[y == label], bins=bins, density=True, alpha=0.7, color=color, label=name)
    ax.set(xlabel="predicted probability", ylabel="density")
    ax.legend(frameon=False, fontsize=9)
    return figure


def _predicted(y: Array, scores: Array, target: Mapping[str, Any]) -> Any:
    figure, ax = axes()
    low, high = np.quantile(y, [0.001, 0.995])
    drawn = (y >= low) & (y <= high)
    ax.hexbin(y[drawn], scores[drawn], gridsize=45, mincnt=1, bins="log", cmap="Blues", linewidths=0.1)
    ax.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1)
    ax.set(xlabel=f"actual {target['name']}{_unit(target)}", ylabel="predicted")
    ax.ticklabel_format(style="plain")
    ax.tick_params(axis="x", labelrotation=20)
    return figure


def _unit(target: Mapping[str, Any]) -> str:
    return f", {target['unit']}" if target["unit"] else ""


def _slices(document: Mapping[str, Any]) -> Any:
    judged = [item for item in document["slices"] if item["value"] is not None][:_MOST_SLICES]
    metric = judged[0]["metric"]
    whole = document["metrics"].get(metric, {}).get("value")
    figure, ax = axes(height=max(2.6, 0.23 * len(judged) + 0.9))
    for place, item in enumerate(reversed(judged)):
        ax.plot([item["low"], item["high"]], [place, place], color=SOFT, linewidth=2.2, solid_capstyle="round")
        ax.plot(item["value"], place, "o", color=GOOD, markersize=5)
    names = [f"{item['column']} {item['slice'][:24]}  ({item['rows']:,})" for item in reversed(judged)]
    ax.set_yticks(range(len(judged)), names, fontsize=8)
    if whole is not None:
        ax.axvline(whole, color=INK, linewidth=1, linestyle=":")
    ax.set_xlabel(metric)
    return figure


def _calibration_csv(document: Mapping[str, Any], folder: Path) -> None:
    names = ("predicted", "observed", "low", "high")
    lines = ["predicted,observed,low,high,n"]
    lines += [",".join([*(f"{b[name]:.6f}" for name in names), str(b["n"])]) for b in document["calibration"]["bins"]]
    (folder / "calibration.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _slices_csv(document: Mapping[str, Any], folder: Path) -> None:
    import csv

    with (folder / "slices.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["slice", "rows", "value", "low", "high"])
        for item in document["slices"]:
            if item["value"] is not None:
                figures = [f"{item[name]:.6g}" for name in ("value", "low", "high")]
                writer.writerow([f"{item['column']}={item['slice']}", item["rows"], *figures])
