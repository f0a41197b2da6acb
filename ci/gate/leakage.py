"""Leakage: the challenger must not know its test rows, nor what nobody knows when the question is asked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Role
from ci.data import layout, prepare, rows
from ci.errors import BadInput
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from ci.contract import Contract
    from ci.gate.heldout import HeldOut
    from ci.model.bundles import Bundle
    from ci.params_gate import Leakage
    from ci.project import Project

_SAMPLE = 50_000
_KIND = {"kind": "leakage"}


def checks(bundle: Bundle, project: Project, test: HeldOut) -> Iterator[Check]:
    """Look for what the challenger could not know; the training set lies beside the test set."""
    contract, limits = project.contract, project.params.gate.leakage
    yield _columns(bundle, contract, limits)
    yield from trained_before(bundle, test.split, "challenger")
    yield from _rows_on_both_sides(contract, test.frame, test.file.with_name(layout.TRAIN), limits)
    yield _single_features(project, test.frame)


def trained_before(bundle: Bundle, split: Mapping[str, Any], whose: str) -> Iterator[Check]:
    """Compare the newest moment that a bundle learned from with the oldest test row, where the split is by time."""
    learned = ((bundle.lineage.get("split") or {}).get("cut") or {}).get("train_end")
    judged = split.get("cut", {}).get("test_start")
    if learned is None or judged is None:
        return
    seen = datetime.fromisoformat(learned) > datetime.fromisoformat(judged)
    message = f"it learned from rows before {learned[:10]}, the test set begins on {judged[:10]}"
    bad = Found.REJECTED if whose == "challenger" else Found.WARNED
    words = f"the {whose} has seen test rows: {message}" if seen else message
    yield Check(
        f"time order of the {whose}", bad if seen else Found.PASSED, words, learned[:10], judged[:10], extra=_KIND
    )


def _columns(bundle: Bundle, contract: Contract, limits: Leakage) -> Check:
    late = {name for name, column in contract.columns.items() if column.role in {Role.AFTER, Role.TARGET}}
    used = sorted(set(bundle.inputs) & (late | set(limits.banned)))
    if used:
        message = f"the model asks for {', '.join(used)}: banned, or known only afterwards"
        return Check("columns", Found.REJECTED, message, len(used), 0, extra=_KIND)
    message = f"none of its {len(bundle.inputs)} inputs is banned or known only afterwards"
    return Check("columns", Found.PASSED, message, 0, 0, extra=_KIND)


def _rows_on_both_sides(contract: Contract, frame: pd.DataFrame, train: Path, limits: Leakage) -> Iterator[Check]:
    names = [*contract.features, *([contract.group] if contract.group else [])]
    learned, groups = _hashes(train, names, contract)
    known = np.isin(rows.row_hashes(frame[list(contract.features)]), learned)
    twice = float(known.mean())
    outcome = Found.REJECTED if twice > limits.max_duplicates else Found.WARNED if twice else Found.PASSED
    message = f"{int(known.sum()):,} test rows have the features of a training row"
    yield Check("duplicates", outcome, message, twice, limits.max_duplicates, n=len(frame), extra=_KIND)
    if contract.group:
        both = len(np.intersect1d(rows.row_hashes(frame[[contract.group]]), groups))
        message = f"{both:,} values of {contract.group} are in train and test set"
        yield Check("groups", Found.REJECTED if both else Found.PASSED, message, both, 0, n=len(frame), extra=_KIND)


def _hashes(train: Path, names: list[str], contract: Contract) -> tuple[rows.Array, rows.Array]:
    """Hash the training rows by features and by group, a row group at a time: 16 bytes a row are held."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    features, groups = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    try:
        with pq.ParquetFile(train) as source:
            for batch in range(source.num_row_groups):
                part = source.read_row_group(batch, columns=list(dict.fromkeys(names))).to_pandas()
                features.append(rows.row_hashes(part[list(contract.features)]))
                if contract.group:
                    groups.append(np.unique(rows.row_hashes(part[[contract.group]])))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise BadInput(f"{train}: not readable as Parquet ({' '.join(str(error).split())[:160]})") from error
    return np.concatenate(features), np.concatenate(groups)


def _single_features(project: Project, frame: pd.DataFrame) -> Check:
    """STATISTICS §1: a feature that alone tells the target is the target in disguise, unless somebody vouches for it."""
    limit, trusted = project.params.gate.leakage.single_feature, set(project.params.evaluate.trusted)
    few = frame if len(frame) <= _SAMPLE else frame.sample(_SAMPLE, random_state=0)
    alone = prepare.single_feature_scores(few, project.contract)
    best = max(alone, key=lambda name: (alone[name] > limit and name not in trusted, alone[name]))
    outcome = Found.PASSED if alone[best] <= limit else Found.WARNED if best in trusted else Found.REJECTED
    message = f"the strongest single feature, {best}, scores {alone[best]:.3f}"
    return Check("single feature", outcome, message, alone[best], limit, n=len(few), extra=_KIND)
