"""
Bundle: everything that is needed to serve, judge and explain one model, in one folder, sealed by a manifest.

docs/reference/bundle.md describes it. A graph that does not answer as its estimator did is rejected here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.contract import Task, Type
from ci.data.manifest import load_manifest, read_parquet
from ci.errors import BadInput, Outcome
from ci.files import read_json, replacing_folder, sha256, sha256_of, sha256_of_tree, write_json
from ci.model import encoding, graph, train
from ci.model.evaluate import EVALUATION, in_words
from ci.model.scoring import Scorer
from ci.report import Check, Found, Result, deciding, finite, worst
from ci.templating import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.contract import Column, Contract
    from ci.data import rows
    from ci.data.manifest import Manifest
    from ci.project import Project, ProjectParams

SIGNATURE, GOLDEN, LINEAGE, CARD, MANIFEST = (
    "signature.json",
    "golden.json",
    "lineage.json",
    "MODEL_CARD.md",
    "manifest.json",
)
SCHEMA_VERSION = 1
_GOLDEN_ROWS = 24
_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


@dataclass(frozen=True)
class Parts:
    """Where the stages before left their work."""

    raw: Path
    prepared: Path
    model: Path
    evaluation: Path


def bundle(project: Project, parts: Parts, target: Path) -> Result:
    """
    Write the bundle into `target`; if the graph fails parity, `target` stays as it was.

    Raises:
        BadInput: a part is missing or unreadable, or was made from another model.
    """
    contract, evaluation = project.contract, read_json(parts.evaluation / EVALUATION)
    model = parts.model / train.MODEL
    if evaluation["model_sha256"] != sha256(model):
        raise BadInput(f"{parts.evaluation / EVALUATION}: is of another model", hint="run the evaluate stage again")
    reference, wanted = train.answers_in(read_parquet(parts.model / train.REFERENCE))
    found = Scorer(model, contract).score(reference)
    checks = [*_parity(project, found, wanted), *_repeatable(project, model, reference, found)]
    if worst(checks) is Outcome.PASSED:
        lineage = _lineage(project, load_manifest(parts.raw), parts)
        with replacing_folder(target) as beside:
            (beside / train.MODEL).write_bytes(model.read_bytes())
            write_json(beside / SIGNATURE, signature(project, reference))
            write_json(beside / GOLDEN, golden(project, reference, found))
            write_json(beside / EVALUATION, evaluation)
            write_json(beside / LINEAGE, lineage)
            (beside / CARD).write_text(_card(project, evaluation, lineage), encoding="utf-8")
            write_json(beside / MANIFEST, manifest(beside))
    return _told(project, evaluation, checks, target)


def manifest(folder: Path) -> dict[str, Any]:
    """List the other files of a bundle with digest and size in bytes."""
    found = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    files = {path.name: {"sha256": sha256(path), "size": path.stat().st_size} for path in found}
    return {"schema_version": SCHEMA_VERSION, "files": files}


def digest(folder: Path) -> str:
    """Return the bundle digest: the sha256 of its manifest."""
    return sha256(folder / MANIFEST)


def signature(project: Project, reference: pd.DataFrame) -> dict[str, Any]:
    """Draw the signature from the contract; examples and quantiles come from real rows."""
    contract = project.contract
    groups = encoding.columns(contract)
    inputs = [_input(name, column, reference[name]) for name, column in contract.features.items()]
    made: dict[str, Any] = finite(
        {
            "schema_version": SCHEMA_VERSION,
            "project": project.name,
            "task": contract.task.value,
            "description": contract.description,
            "inputs": inputs,
            "output": _output(project),
            "graph": {group: groups.get(group, []) for group in encoding.GROUPS},
        }
    )
    return made


def golden(project: Project, reference: pd.DataFrame, answers: rows.Array) -> dict[str, Any]:
    """Choose rows that keep the contract, first ordinary ones and then hard cases, with the graph's own answers."""
    sound = np.flatnonzero(within_contract(reference, project.contract))
    half = _GOLDEN_ROWS // 2
    chosen = [*sound[:half], *sound[max(half, len(sound) - half) :]]
    raw = reference.iloc[chosen]
    columns = project.contract.features
    made: dict[str, Any] = finite(
        {
            "schema_version": SCHEMA_VERSION,
            "tolerance": project.params.train.parity_tolerance,
            "rows": [{name: as_json(row[name], columns[name]) for name in columns} for _, row in raw.iterrows()],
            "outputs": answers[chosen].tolist(),
        }
    )
    return made


def as_json(value: Any, column: Column) -> Any:
    """Spell a value as a caller would send it."""
    if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)):
        return None
    if column.type is Type.DATETIME:
        return pd.Timestamp(value).isoformat()
    kinds = {Type.NUMBER: float, Type.INTEGER: int, Type.BOOLEAN: bool, Type.STRING: str}
    return kinds[column.type](value)


def _parity(project: Project, found: rows.Array, wanted: rows.Array) -> Iterator[Check]:
    """Compare graph and estimator on real rows, missing values and unseen texts; relative above one."""
    limit = project.params.train.parity_tolerance
    if found.shape != wanted.shape:
        yield Check("parity", Found.REJECTED, f"the graph answers {found.shape}, the estimator {wanted.shape}")
        return
    apart = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    most = float(apart.max())
    off = int((~(apart <= limit)).sum())  # so that NaN counts as different
    message = (
        f"{off:,} of {apart.size:,} answers differ from the estimator's" if off else "answers as the estimator did"
    )
    yield Check("parity", Found.REJECTED if off else Found.PASSED, message, most, limit, n=len(found))


def _repeatable(project: Project, model: Path, reference: pd.DataFrame, found: rows.Array) -> Iterator[Check]:
    """A row must get the same answer alone as in a batch: the server batches as traffic comes."""
    alone = Scorer(model, project.contract)
    few = np.linspace(0, len(reference) - 1, 25).astype(int)
    apart = float(np.max([np.abs(alone.score(reference.iloc[[i]])[0] - found[i]).max() for i in few]))  # NaN stays NaN
    scale = float(np.maximum(1.0, np.abs(found[few]).max()))
    limit = project.params.train.parity_tolerance
    outcome = Found.PASSED if apart <= limit * scale else Found.REJECTED
    yield Check("alone as in a batch", outcome, "largest difference of 25 rows", apart / scale, limit, n=len(few))


def _input(name: str, column: Column, values: pd.Series[Any]) -> dict[str, Any]:
    described = column.model_dump(
        mode="json", include={"type", "nullable", "minimum", "maximum", "categories", "unit", "description"}
    )
    if column.type is Type.STRING:
        described |= {"unknown": column.unknown, "max_length": column.max_length}
    known = values.dropna()
    if column.type in {Type.NUMBER, Type.INTEGER} and len(known):
        described["quantiles"] = [float(q) for q in np.quantile(known.astype("float64"), _QUANTILES)]
    example = as_json(known.iloc[0], column) if len(known) else None
    return {"name": name, **described, "example": example}


def _output(project: Project) -> dict[str, Any]:
    contract = project.contract
    probability = contract.task in {Task.BINARY, Task.MULTICLASS}
    target = contract.columns[contract.target]
    what = contract.positive or "true"
    description = {
        Task.BINARY: f"Probability that `{contract.target}` is {what}",
        Task.MULTICLASS: f"Probability of each value of `{contract.target}`",
        Task.REGRESSION: f"Expected `{contract.target}`" + (f" in {target.unit}" if target.unit else ""),
        Task.RANKING: f"The higher, the more likely `{contract.target}`",
    }[contract.task]
    return {
        "name": graph.OUTPUTS[contract.task],
        "type": "number",
        "minimum": 0 if probability else None,
        "maximum": 1 if probability else None,
        "classes": target.categories and sorted(target.categories) if contract.task is Task.MULTICLASS else None,
        "description": description,
    }


def within_contract(frame: pd.DataFrame, contract: Contract) -> rows.Array:
    """Say of each row `(n_rows,)` whether a server of this contract would take it."""
    sound = np.ones(len(frame), dtype=bool)
    for name, column in contract.features.items():
        values, missing = frame[name], frame[name].isna()
        fine = pd.Series(True, index=frame.index)
        if column.minimum is not None:
            fine &= values >= column.minimum
        if column.maximum is not None:
            fine &= values <= column.maximum
        if column.categories is not None and column.unknown == "reject":
            fine &= values.isin(column.categories)
        sound &= (fine.fillna(value=False) | (missing & column.nullable)).to_numpy(dtype=bool)
    return sound


def _lineage(project: Project, data: Manifest, parts: Parts) -> dict[str, Any]:
    """Say what made the model, by content: commits and clocks would make equal bundles differ."""
    code = [project.code_file(name) for name in ("assemble", "features", "train")]
    names = ("scikit-learn", "skl2onnx", "onnx", "ndonnx", "numpy", "pandas")
    return {
        "schema_version": SCHEMA_VERSION,
        "project": project.name,
        "data": {
            "version": data.version,
            "as_of": data.as_of,
            "watermark": data.watermark,
            "rows": data.rows,
            "contract": data.contract,
        },
        "split": read_json(parts.prepared / "split.json"),
        "training": read_json(parts.model / train.TRAINING),
        **_digests(project.params),
        "code": {"project": sha256_of_tree(*code), "pipeline": sha256_of_tree(Path("ci/data"), Path("ci/model"))},
        "packages": {name: version(name) for name in names},
    }


def _digests(params: ProjectParams) -> dict[str, str]:
    """Digest the params that make a model; without the date, newer data can be told from another model."""
    settings = params.model_dump(mode="json", include={"source", "split", "train", "evaluate"})
    as_of = params.model_dump(mode="json", include={"as_of"})
    return {"params": sha256_of(settings | as_of), "settings": sha256_of(settings)}


def _card(project: Project, evaluation: Mapping[str, Any], lineage: Mapping[str, Any]) -> str:
    return render(
        "card/model_card.md.j2",
        project=project.name,
        contract=project.contract,
        inputs=project.contract.features,
        output=graph.OUTPUTS[project.contract.task],
        level=evaluation["level"],
        cluster=evaluation["cluster"],
        metrics=evaluation["metrics"],
        slices=evaluation["slices"],
        split=evaluation["split"],
        lineage=lineage,
        limits=list(_limits(project, evaluation)),
    )


def _limits(project: Project, evaluation: Mapping[str, Any]) -> Iterator[str]:
    yield "It knows nothing that happened after the newest row of its data."
    if project.contract.label_horizon_days:
        yield f"Whether it was right is known only {project.contract.label_horizon_days:g} days later."
    unjudged = [item for item in evaluation["slices"] if item["value"] is None]
    if unjudged:
        yield f"{len(unjudged)} slices were too small to be judged: " + ", ".join(
            f"{item['column']} {item['slice']}" for item in unjudged[:8]
        )
    if project.contract.cluster is None:
        yield "The intervals take rows as independent: the contract names no cluster."


def _told(project: Project, evaluation: Mapping[str, Any], checks: list[Check], target: Path) -> Result:
    outcome, first = worst(checks), deciding(checks)
    if outcome is not Outcome.PASSED and first:
        hint = "some parts are exported wrongly and silently; docs/how-to/add-a-project.md lists the known ones"
        return Result(f"{first.name}: {first.message}", outcome, hint, checks)
    metrics = evaluation["metrics"]
    name = evaluation["primary"] if evaluation["primary"] in metrics else next(iter(metrics))
    return Result(
        f"sealed as {digest(target)[:12]}, {name} {in_words(metrics[name])}",
        checks=checks,
        facts={
            "bundle digest": digest(target)[:12],
            "model": sha256(target / train.MODEL)[:12],
            "inputs": len(project.contract.features),
            "size, kB": sum(path.stat().st_size for path in target.iterdir()) // 1000,
        },
        outputs={str(path): sha256(path) for path in sorted(target.iterdir())},
        data={"digest": digest(target)},
    )
