"""
Evaluate: how good is the model that would ship, how sure are we, and for whom is it worse?

What is scored is the exported graph, on rows that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci import stats
from ci.contract import Task
from ci.data import layout, prepare, rows
from ci.data.manifest import read_parquet
from ci.errors import BadInput, Outcome
from ci.files import read_json, replacing_folder, sha256, write_json
from ci.model import plots
from ci.model.mistakes import wrong
from ci.model.scoring import Scorer
from ci.report import Check, Found, Picture, Result, Table, deciding, finite, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ci.contract import Contract
    from ci.progress import Progress
    from ci.project import Project

EVALUATION, METRICS = "evaluation.json", "metrics.json"
DEFAULT_METRICS = {
    Task.BINARY: ("auc", "log_loss", "brier", "accuracy", "f1"),
    Task.MULTICLASS: ("log_loss", "accuracy", "macro_f1"),
    Task.REGRESSION: ("mae", "rmse", "r2", "bias"),
    Task.RANKING: ("auc", "average_precision"),
}
STRONG_ALONE = {"auc": 0.75, "r2": 0.5}  # a weak feature is no leak, however weak the model


@dataclass(frozen=True)
class Scored:
    """A test set with the answers of one model; `scores` is `(n_rows,)` or `(n_rows, n_classes)`."""

    contract: Contract
    frame: pd.DataFrame
    scores: rows.Array

    @cached_property
    def y(self) -> rows.Array:
        """Targets `(n_rows,)` as ci.stats takes them."""
        return rows.labels(self.frame[self.contract.target], self.contract)

    @cached_property
    def clusters(self) -> rows.Array | None:
        """Codes `(n_rows,)` of what makes rows alike, or None where the contract names nothing."""
        return cluster_codes(self.frame, self.contract)

    def estimate(self, metric: str, where: rows.Array | slice = slice(None), **options: Any) -> stats.Estimate:
        """Measure a metric on all rows or some; ValueError where it cannot be."""
        clusters = None if self.clusters is None else self.clusters[where]
        return stats.estimate(metric, self.y[where], self.scores[where], clusters=clusters, **options)


def cluster_codes(frame: pd.DataFrame, contract: Contract) -> rows.Array | None:
    """Return integer codes `(n_rows,)` of the contract's clusters."""
    if contract.cluster is None:
        return None
    if contract.cluster == "day":
        values = frame[str(contract.event_time)].to_numpy(dtype="datetime64[D]")
        return np.unique(values, return_inverse=True)[1]
    return np.asarray(pd.factorize(frame[contract.cluster])[0])


def evaluate(project: Project, prepared: Path, model: Path, target: Path, progress: Progress) -> Result:
    """
    Score the test set; write metrics, slices, calibration and pictures into `target`.

    A feature that alone does what the model does is a leak and a verdict: then `target` stays as it was.

    Raises:
        BadInput: the model does not answer, answers NaN, or a metric does not fit the task.
    """
    with plots.painter() as paint:
        return _evaluated(project, prepared, model, target, progress, paint)


def _evaluated(
    project: Project, prepared: Path, model: Path, target: Path, progress: Progress, paint: Callable[[bytes], bytes]
) -> Result:
    scored = _scored(project, prepared, model)
    progress.line(f"evaluate {project.name}: {len(scored.frame):,} rows scored")
    metrics = _metrics(project, scored)
    slices = list(_slices(project, scored))
    checks = list(_leaks(project, scored))
    document = finite(
        {
            "schema_version": 1,
            "project": project.name,
            "task": project.contract.task.value,
            "level": project.params.evaluate.level,
            "rows": len(scored.frame),
            "clusters": None if scored.clusters is None else int(scored.clusters.max()) + 1,
            "cluster": project.contract.cluster,
            "test_sha256": sha256(prepared / layout.TEST),
            "model_sha256": sha256(model),
            "split": read_json(prepared / layout.SPLIT),
            "primary": primary(project.contract.task),
            "metrics": metrics,
            "wrong": wrong(scored, level=project.params.evaluate.level, threshold=project.params.evaluate.threshold),
            "slices": slices,
            "calibration": _calibration(scored),
        }
    )
    if worst(checks) is not Outcome.PASSED:
        return _told(document, checks, target, [])
    with replacing_folder(target) as beside:
        write_json(beside / EVALUATION, document)
        write_json(beside / METRICS, _for_dvc(document))
        pictures = plots.draw(project.contract, document, scored, beside, paint)
    return _told(document, checks, target, [_moved(picture, beside, target) for picture in pictures])


def primary(task: Task) -> str:
    """Name the metric by which models of a task are compared first."""
    return {Task.MULTICLASS: "log_loss", Task.REGRESSION: "mae"}.get(task, "auc")


def _scored(project: Project, prepared: Path, model: Path) -> Scored:
    frame = read_parquet(prepared / layout.TEST)
    scores = Scorer(model, project.contract).score(frame)
    if not np.isfinite(scores).all():
        raise BadInput(f"{model}: {int((~np.isfinite(scores)).sum()):,} of {scores.size:,} answers are NaN or infinite")
    return Scored(project.contract, frame, scores)


def _metrics(project: Project, scored: Scored) -> dict[str, Any]:
    settings = project.params.evaluate
    found = {}
    for name in settings.metrics or DEFAULT_METRICS[project.contract.task]:
        try:
            value = scored.estimate(name, level=settings.level, threshold=settings.threshold)
        except ValueError as error:
            raise BadInput(f"{project.name}: {error}") from error
        found[name] = {**_plain(value), "direction": stats.METRICS[name].direction, "unit": stats.METRICS[name].unit}
    return found


def _plain(value: stats.Estimate) -> dict[str, Any]:
    names = ("value", "low", "high", "se", "n", "clusters", "method")
    return {name: getattr(value, name) for name in names}


def _slices(project: Project, scored: Scored) -> Iterator[dict[str, Any]]:
    metric, settings = primary(project.contract.task), project.params.evaluate
    for column in project.contract.slices:
        for name, where in slices_of(scored.frame[column], settings.max_slices):
            row: dict[str, Any] = {"column": column, "slice": name, "rows": int(where.sum()), "metric": metric}
            try:
                if row["rows"] < settings.min_slice_rows:
                    raise ValueError(f"fewer than {settings.min_slice_rows} rows")
                yield {**row, **_plain(scored.estimate(metric, where, level=settings.level)), "note": ""}
            except ValueError as error:
                yield {**row, "value": None, "low": None, "high": None, "note": str(error)}


def slices_of(series: pd.Series[Any], most: int) -> Iterator[tuple[str, rows.Array]]:
    """Yield the values of a column, most frequent first, each with its rows as a mask; rare ones together."""
    texts = series.astype(object).where(series.notna(), "(missing)").astype(str)
    names = list(texts.value_counts(sort=True).index)
    for name in names[:most]:
        yield name, (texts == name).to_numpy()
    if len(names) > most:
        yield f"(other: {len(names) - most} values)", texts.isin(names[most:]).to_numpy()


def _calibration(scored: Scored) -> dict[str, Any]:
    """Compare, by tenths of the answers, what was predicted with what was observed."""
    if scored.contract.task is Task.BINARY:
        bins = [item._asdict() for item in stats.calibration_curve(scored.y, scored.scores, clusters=scored.clusters)]
        return {"bins": bins, "expected_calibration_error": stats.expected_calibration_error(scored.y, scored.scores)}
    predicted, observed = scored.scores, scored.y.astype("float64")
    if scored.contract.task is Task.MULTICLASS:
        predicted, observed = scored.scores.max(axis=1), (scored.scores.argmax(axis=1) == scored.y).astype("float64")
    return {"bins": list(_tenths(predicted, observed)), "expected_calibration_error": None}


def _tenths(predicted: rows.Array, observed: rows.Array) -> Iterator[dict[str, Any]]:
    for where in np.array_split(np.argsort(predicted, kind="stable"), 10):
        if len(where):
            mean, spread = float(observed[where].mean()), 1.96 * float(observed[where].std()) / np.sqrt(len(where))
            yield {"predicted": float(predicted[where].mean()), "observed": mean, "n": len(where),
                   "low": mean - spread, "high": mean + spread}  # fmt: skip


def _moved(picture: Picture, beside: Path, target: Path) -> Picture:
    return Picture(target / picture.path.relative_to(beside), picture.caption)


def _leaks(project: Project, scored: Scored) -> Iterator[Check]:
    """STATISTICS: a feature that alone reaches nine tenths of the model is known too late, or is all there is."""
    metric = {Task.REGRESSION: "r2", Task.MULTICLASS: None}.get(project.contract.task, "auc")
    if metric is None:
        return
    full = scored.estimate(metric).value
    limit = max(full * project.params.evaluate.single_feature_share, STRONG_ALONE[metric])
    alone = scores_alone(scored.frame, project.contract)
    for name, (score, low) in alone.items():
        if score > limit:
            excused = name in project.params.evaluate.trusted or low <= limit
            doubt = (
                "is it known when the prediction is asked for?" if low > limit else "too few rows to rule out chance"
            )
            message = f"alone reaches a {metric} of {score:.3f}, the model {full:.3f}: {doubt}"
            outcome = Found.WARNED if excused else Found.REJECTED
            yield Check(f"leak {name}", outcome, message, score, limit, (low, 1.0), len(scored.frame))
    best = max(alone, key=lambda name: alone[name])
    message = f"the strongest single feature, {best}, reaches {alone[best][0]:.3f}; the model {full:.3f}"
    yield Check("leakage", Found.PASSED, message, alone[best][0], limit, n=len(scored.frame))


def scores_alone(frame: pd.DataFrame, contract: Contract) -> dict[str, tuple[float, float]]:
    """
    Return for each feature what it tells alone (AUC, or R² of a regression) and its one-sided 95 % lower bound.

    Variances after Hanley & McNeil 1982 (AUC) and Olkin & Finn 1995 (R²), doubled: each half of the rows guesses the
    other, so that a lucky pair counts twice.
    """
    y = rows.labels(frame[contract.target], contract)
    variance = _variance_of_r2 if contract.task is Task.REGRESSION else _variance_of_auc
    alone = prepare.single_feature_scores(frame, contract)
    return {name: (score, score - 1.645 * float(np.sqrt(2 * variance(score, y)))) for name, score in alone.items()}


def _variance_of_auc(auc: float, y: rows.Array) -> float:
    positives, negatives = max(int((y == 1).sum()), 1), max(int((y == 0).sum()), 1)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    total = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return max(total, 0.0) / (positives * negatives)


def _variance_of_r2(r2: float, y: rows.Array) -> float:
    return 4 * r2 * (1 - r2) ** 2 / max(len(y), 1)


def _for_dvc(document: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten for `dvc metrics show`: the value with its interval beside it."""
    return {
        name: {"value": round(found["value"], 6), "low": round(found["low"], 6), "high": round(found["high"], 6)}
        for name, found in document["metrics"].items()
    }


def _told(document: Mapping[str, Any], checks: list[Check], target: Path, pictures: list[Picture]) -> Result:
    first, outcome, metrics = deciding(checks), worst(checks), document["metrics"]
    percent = f"{document['level']:.0%}"
    first_two = sorted(metrics, key=lambda name: name != document["primary"])[:2]
    message = f"{', '.join(f'{name} {in_words(metrics[name])}' for name in first_two)} ({percent} intervals) on {document['rows']:,} rows"
    hint = ""
    if outcome is not Outcome.PASSED and first:
        message = f"{first.name}: {first.message}"
        hint = "give the column the role `after` in the contract, or list it under evaluate.trusted"
    return Result(
        message,
        outcome,
        hint,
        checks,
        facts={name: in_words(found) for name, found in metrics.items()},
        tables=[_metric_table(metrics, percent), _slice_table(document, percent)],
        pictures=pictures,
        inputs={"test set": document["test_sha256"], "model": document["model_sha256"]},
        outputs={str(target / EVALUATION): sha256(target / EVALUATION)} if outcome is Outcome.PASSED else {},
    )


def in_words(found: Mapping[str, Any]) -> str:
    """Spell a metric with its interval, as precisely as the interval allows."""
    width = abs(found["high"] - found["low"])
    digits = int(np.clip(2 - np.floor(np.log10(width)) if width > 0 else 4, 0, 6))
    return f"{found['value']:,.{digits}f} [{found['low']:,.{digits}f}, {found['high']:,.{digits}f}]"


def _metric_table(metrics: Mapping[str, Any], percent: str) -> Table:
    shown = [
        (name, f["value"], f["low"], f["high"], "higher" if f["direction"] > 0 else "lower", f["unit"], f["method"])
        for name, f in metrics.items()
    ]
    return Table("Metrics", ("metric", "value", f"{percent} from", "to", "better is", "unit", "how"), shown)


def _slice_table(document: Mapping[str, Any], percent: str) -> Table:
    metric = document["slices"][0]["metric"] if document["slices"] else ""
    shown = [
        (s["column"], s["slice"], s["rows"], s["value"], s["low"], s["high"], s["note"]) for s in document["slices"]
    ]
    note = "Slices are for looking; the gate judges them with a correction for their number."
    return Table("Slices", ("column", "value", "rows", metric, f"{percent} from", "to", "note"), shown, note)
