"""
Train: from prepared rows to an ONNX model, and answers of the original by which the export is judged.

No pickle is written, here or anywhere: the estimator lives and ends in this process, what leaves it is the graph.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.aside import aside
from ci.contract import Task, Type
from ci.data import layout, rows
from ci.data.manifest import read_parquet
from ci.errors import BadInput, StepError
from ci.files import read_json, replacing_folder, sha256, write_json
from ci.model import encoding, graph, threads
from ci.model.estimators import default_estimator
from ci.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ci.progress import Progress
    from ci.project import Project

MODEL, REFERENCE, TRAINING = "model.onnx", "reference.parquet", "training.json"
ANSWER = "answer ·"  # no feature may be called so
UNSEEN = "never seen ☃"
_MUTANTS = 20


@dataclass(frozen=True)
class Trained:
    """A model as bytes, the original's own `predict` on raw rows, and what is worth remembering."""

    model: bytes
    predict: Callable[[pd.DataFrame], Any]
    facts: dict[str, Any]


def train(project: Project, prepared: Path, target: Path, progress: Progress) -> Result:
    """
    Fit the project's estimator, export it, and keep its answers on reference rows; all of `target` or nothing.

    Raises:
        BadInput: the project's code fails, or the estimator cannot be exported.
    """
    threads.settle()
    contract = project.contract
    if taken := [name for name in contract.features if name.startswith(ANSWER)]:
        raise BadInput(f"{project.name}: the column {taken[0]!r} cannot be a feature: the name is taken")
    frame = read_parquet(prepared / layout.TRAIN)
    progress.line(f"train {project.name}: {len(frame):,} rows, {len(contract.features)} columns")
    trained = _trained(project, frame)
    reference = reference_rows(project, read_parquet(prepared / layout.TEST))
    answers = np.asarray(trained.predict(reference))
    if not np.isfinite(answers).all():
        raise BadInput(
            f"{project.name}: the model answers NaN or infinity on {int((~np.isfinite(answers)).sum()):,} reference rows"
        )
    with replacing_folder(target) as beside:
        (beside / MODEL).write_bytes(trained.model)
        rows.write_parquet(_with_answers(reference, answers), beside / REFERENCE)
        write_json(beside / TRAINING, {**trained.facts, "rows": len(frame)})
        outputs = {str(target / name): sha256(beside / name) for name in (MODEL, REFERENCE, TRAINING)}
    size = len(trained.model)
    facts = {
        "rows": len(frame),
        "model size, kB": size // 1000,
        "seed": str(project.params.train.seed),  # a name, not a quantity
        **_facts(trained.facts),
    }
    split = read_json(prepared / layout.SPLIT)
    return Result(
        f"learned from {len(frame):,} rows; the graph has {size / 1e6:.1f} MB",
        facts=facts,
        inputs={"data version": split["data_version"]},
        outputs=outputs,
    )


def reference_rows(project: Project, test: pd.DataFrame) -> pd.DataFrame:
    """Draw real rows for the parity check, and add the hard cases: missing values and texts that were never seen."""
    settings, contract = project.params.train, project.contract
    count = min(settings.parity_rows, len(test))
    drawn = test.sample(count, random_state=settings.seed)[list(contract.features)].reset_index(drop=True)
    few = drawn.head(_MUTANTS)
    mutants = []
    for name, column in contract.features.items():
        if column.nullable:
            mutants.append(few.assign(**{name: None}).astype({name: few[name].dtype}))
        if column.type is Type.STRING and column.unknown == "accept" and column.max_length >= len(UNSEEN):
            mutants.append(few.assign(**{name: UNSEEN}))
    return pd.concat([drawn, *mutants], ignore_index=True)


def _trained(project: Project, frame: pd.DataFrame) -> Trained:
    own = project.code("train")
    raw = frame[[*project.contract.features, project.contract.target]]
    if own is not None:
        try:
            model, predict = own(raw, dict(project.params.train.estimator))
        except StepError:
            raise
        except Exception as error:
            raise BadInput(f"{project.code_file('train')}: train failed ({type(error).__name__}: {error})") from error
        return Trained(bytes(model), predict, {"trainer": "project"})
    return _fitted(project, raw)


def _fitted(project: Project, frame: pd.DataFrame) -> Trained:
    contract, settings = project.contract, project.params.train
    features = _traced(project)
    given = features.apply(encoding.encode(frame, contract))
    labels = rows.labels(frame[contract.target], contract)
    _all_classes(labels, frame, contract)
    estimator = _estimator(project, given, features.kinds)
    _seed(estimator, settings.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            estimator.fit(given, labels)
        except (ValueError, TypeError) as error:
            raise BadInput(
                f"{project.name}: the estimator does not fit ({' '.join(str(error).split())[:200]})"
            ) from error
        model = graph.joined(features, graph.converted(estimator, features), contract)

    def predict(raw: pd.DataFrame) -> Any:
        return answers_of(estimator, features.apply(encoding.encode(raw, contract)), contract.task)

    kind = type(estimator[-1] if hasattr(estimator, "steps") else estimator).__name__
    return Trained(model, predict, {"trainer": "scikit-learn", "estimator": kind, "features": dict(features.kinds)})


def _traced(project: Project) -> graph.FeatureGraph:
    """Trace aside while scikit-learn is loaded; where it is there already, its threads would be missing in a child."""
    if "sklearn" in sys.modules:
        return graph.trace(project)
    with aside(lambda: graph.trace(project).to_bytes()) as traced:
        importlib.import_module("skl2onnx")  # and with it scikit-learn: takes as long as tracing does
        return graph.FeatureGraph.of_bytes(traced())


def answers_of(estimator: Any, given: pd.DataFrame, task: Task) -> Any:
    """Ask a scikit-learn estimator what the graph should answer, `(n_rows,)` or `(n_rows, n_classes)`."""
    if task is Task.MULTICLASS:
        return estimator.predict_proba(given)
    if task is Task.REGRESSION or not hasattr(estimator, "predict_proba"):
        return np.ravel(estimator.predict(given))
    return estimator.predict_proba(given)[:, 1]


def _estimator(project: Project, given: pd.DataFrame, kinds: Any) -> Any:
    own, params = project.code("estimator"), dict(project.params.train.estimator)
    try:
        if own is None:
            return default_estimator(project.contract.task, params, given, kinds)
        return own(params, dict(kinds))
    except StepError:
        raise
    except Exception as error:
        raise BadInput(
            f"{project.name}: train.estimator: {error}",
            hint="look at the keys under train.estimator, and at `estimator` in model.py",
        ) from error


def _seed(estimator: Any, seed: int) -> None:
    """Seed everything that draws: whatever parameter is called random_state and was left open."""
    np.random.seed(seed)  # noqa: NPY002  # for estimators that draw from the global generator
    if hasattr(estimator, "get_params"):
        parameters = estimator.get_params(deep=True)
        unset = [name for name, value in parameters.items() if name.endswith("random_state") and value is None]
        estimator.set_params(**dict.fromkeys(unset, seed))


def _all_classes(labels: rows.Array, frame: pd.DataFrame, contract: Any) -> None:
    """Refuse a training set in which a class is absent: the columns of the answer would be off by one."""
    if contract.task is Task.REGRESSION:
        return
    wanted = rows.classes(frame[contract.target], contract) if contract.task is Task.MULTICLASS else ["false", "true"]
    for code, name in enumerate(wanted):
        if not (labels == code).any():
            raise BadInput(f"target {contract.target}: no training row is {name!r}")


def _with_answers(reference: pd.DataFrame, answers: np.ndarray[Any, Any]) -> pd.DataFrame:
    if answers.ndim == 1:
        return reference.assign(**{ANSWER: answers})
    return reference.assign(**{f"{ANSWER}_{code}": answers[:, code] for code in range(answers.shape[1])})


def answers_in(reference: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Take a reference file apart: raw rows, and answers `(n_rows,)` or `(n_rows, n_classes)`."""
    names = [name for name in reference.columns if name == ANSWER or name.startswith(f"{ANSWER}_")]
    answers = reference[names].to_numpy(dtype="float64")
    return reference.drop(columns=names), answers[:, 0] if names == [ANSWER] else answers


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    found = dict(facts)
    features = found.pop("features", None)
    return {**found, "features": len(features)} if features else found
