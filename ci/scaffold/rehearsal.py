"""
The first three stages on a draft, in a folder that nobody sees: what they would reject is settled beforehand.

It runs the very files that will be written, so what passes here passes there.
"""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.contract import Task
from ci.data import check, ingest, layout, prepare
from ci.data.manifest import read_parquet
from ci.errors import BadInput, Outcome
from ci.model.evaluate import STRONG_ALONE, scores_alone
from ci.project import Project
from ci.report import Found
from ci.scaffold.draft import by_chance
from ci.scaffold.render import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from ci.data.ingest import TableReader
    from ci.progress import Progress
    from ci.report import Check, Result
    from ci.scaffold.draft import Draft
    from ci.sources import AnyTable

_ROUNDS = 60
_SEEDS = 20
_MARGIN = 0.05
_BECAUSE = "it was so when the project was made"


@dataclass(frozen=True)
class Staged(Project):
    """A project whose files lie anywhere, not below projects/."""

    def code(self, function: str) -> Any | None:
        """Return a function of the code beside the contract, or None."""
        file = self.code_file(function)
        spec = importlib.util.spec_from_file_location(f"rehearsed_{file.stem}", file)
        if spec is None or spec.loader is None:
            raise AssertionError(file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, function, None)


def rehearse(draft: Draft, open_table: Callable[[AnyTable], TableReader], progress: Progress) -> tuple[Draft, str]:
    """
    Correct the draft until ingest, check_data and prepare pass; return it, and what could not be settled or ''.

    Raises:
        BadInput: no column is left that could be a feature.
        Unavailable: there is no room for the rehearsal.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        problem = ""
        for _ in range(_ROUNDS):
            corrected, problem = _once(draft, Path(folder), open_table, progress)
            if corrected is None:
                break
            draft = corrected
            if not problem:
                break
    return draft, problem


def _once(
    draft: Draft, folder: Path, open_table: Callable[[AnyTable], TableReader], progress: Progress
) -> tuple[Draft | None, str]:
    """Return a corrected draft with what was wrong, the final draft with '', or None with what cannot be corrected."""
    project = _staged(draft, folder / "project")
    try:
        ingest.ingest(project, open_table, folder / "raw", progress)
        result = check.check(project, folder / "raw", folder / "check.json", progress)
        if result.outcome is not Outcome.PASSED:
            return _tolerant(draft, result), f"check_data would say: {result.message}"
        result = prepare.prepare(project, folder / "raw", folder / "prepared", progress)
    except BadInput as error:
        return None, str(error)
    if result.outcome is not Outcome.PASSED:
        return _without_leaks(draft, result) or _split_otherwise(draft), f"prepare would say: {result.message}"
    train, test = (read_parquet(folder / "prepared" / name) for name in (layout.TRAIN, layout.TEST))
    if problem := _unsound(draft, train, test):
        return _split_otherwise(draft), problem
    return draft.but(trusted=_strong_alone(project, test)), ""


def _staged(draft: Draft, folder: Path) -> Staged:
    folder.mkdir(exist_ok=True)
    for name, text in files(draft).items():
        (folder / name).write_text(text, encoding="utf-8")
    return Staged(draft.name, folder)


def _tolerant(draft: Draft, result: Result) -> Draft | None:
    """Accept what the data has always been like; None if something else is wrong with it."""
    accepted = list(draft.accepted)
    for item in _rejected(result.checks):
        if "change" in item.extra:
            accepted.append({"period": item.extra["period"], "change": item.extra["change"], "because": _BECAUSE})
        elif item.name.startswith("rows ") and isinstance(item.observed, int) and isinstance(item.limit, int | float):
            draft = _volume(draft, item.observed, float(item.limit))
        else:
            return None
    return draft.but(accepted=accepted)


def _volume(draft: Draft, rows: int, limit: float) -> Draft:
    if rows < limit <= draft.fewest_rows:
        return draft.but(fewest_rows=max(1, rows // 2))
    ratio = max(rows / limit, limit / max(rows, 1))
    return draft.but(
        fewest_rows=min(draft.fewest_rows, max(1, rows // 2)), rows_factor=round(draft.rows_factor * ratio * 1.5, 1)
    )


def _without_leaks(draft: Draft, result: Result) -> Draft | None:
    leaks = {
        item.name.removeprefix("leak "): item.observed
        for item in _rejected(result.checks)
        if item.name.startswith("leak ")
    }
    for name, score in leaks.items():
        why = f"alone it tells {draft.target} with a score of {score:.2f}: a leak, or known only afterwards"
        draft = draft.after(name, why, f"looks like a leak: alone it tells the target (score {score:.2f})")
    return draft if leaks else None


def _split_otherwise(draft: Draft) -> Draft | None:
    """Hold out more days, then draw at random, then draw again; None if nothing helps."""
    if draft.strategy == "time":
        more = int(draft.test_days * 1.6) + 1
        span = (draft.timing.as_of - draft.timing.start).days if draft.timing else 0
        return draft.but(test_days=more) if more <= span * 0.5 else by_chance(draft)
    if draft.seed + 1 < _SEEDS:
        return draft.but(seed=draft.seed + 1)
    return draft.but(strategy="random", group=None, seed=0) if draft.group else None


def _unsound(draft: Draft, train: pd.DataFrame, test: pd.DataFrame) -> str:
    """Say why train or evaluate would fail on this split; '' if they would not."""
    if draft.cluster:
        rows = (
            test[draft.timing.name].dt.normalize() if draft.cluster == "day" and draft.timing else test[draft.cluster]
        )
        if rows.nunique() < 2:
            return f"the test set has one {draft.cluster} only"
    learned, judged = train[draft.target].value_counts(), test[draft.target].value_counts()
    if draft.task is not Task.REGRESSION:
        classes = len(draft.guesses[draft.target].column.categories or (False, True))
        if len(learned) < classes:
            return f"{classes - len(learned)} of {classes} values of {draft.target} are in no training row"
    if min(len(learned), len(judged)) < 2:
        return f"{draft.target} is constant in the training or the test set"
    if draft.task in {Task.BINARY, Task.RANKING} and judged.min() < 2:
        return f"{draft.target}: the test set has one row of a value, two are the least"
    return ""


def _strong_alone(project: Project, test: pd.DataFrame) -> Mapping[str, float]:
    """Score what `evaluate` may call a leak: surely strong alone, though not so strong that `prepare` refuses it."""
    metric = {Task.REGRESSION: "r2", Task.MULTICLASS: None}.get(project.contract.task, "auc")
    if metric is None:
        return {}
    alone = scores_alone(test, project.contract)
    return {name: score for name, (score, low) in alone.items() if low > STRONG_ALONE[metric] - _MARGIN}


def _rejected(checks: Iterable[Check]) -> list[Check]:
    return [item for item in checks if item.outcome is Found.REJECTED]
