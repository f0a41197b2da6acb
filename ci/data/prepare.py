"""
Prepare: from checked rows to a train and a test set that do not know each other.

Streams period by period, so that memory grows with hashes (8 bytes a row), not with rows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.contract import Task, Type
from ci.data import rows
from ci.data.layout import SPLIT, TEST, TRAIN
from ci.data.manifest import Manifest, load_manifest, read_part
from ci.data.split import SIDES, Split, kept, split_of
from ci.errors import BadInput, Outcome
from ci.files import read_json, replacing_folder, sha256, write_json
from ci.report import Check, Found, Result, Table, deciding, finite, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    import pyarrow.parquet as pq

    from ci.contract import Contract
    from ci.progress import Progress
    from ci.project import Project

_ALMOST_THE_TARGET = 0.95
_STRONG = {Task.BINARY: 0.75, Task.RANKING: 0.75}
_STRONG_R2 = 0.5
_MISSING_TOGETHER = 0.5
_FEW_UNKNOWN = 50
_MIN_ROWS = 20
_CHUNK_ROWS = 131_072
_QUANTILES = np.linspace(0, 1, 21)[1:-1]


def prepare(project: Project, raw: Path, target: Path, progress: Progress) -> Result:
    """
    Write train.parquet, test.parquet and split.json into `target`, together or not at all.

    Beside `raw` lies the check.json of the same data version. A leak is a verdict: then `target` stays as it was.

    Raises:
        BadInput: the data was not checked, or the settings of the split cannot work on it.
    """
    try:
        return _prepare(project, raw, target, progress)
    except _Refused as refused:
        return refused.result


class _Refused(Exception):  # noqa: N818
    """Leaves the folder as it was, and carries the verdict out."""

    def __init__(self, result: Result) -> None:
        self.result = result


def _prepare(project: Project, raw: Path, target: Path, progress: Progress) -> Result:
    manifest = load_manifest(raw)
    _checked(raw.parent / "check.json", manifest)
    split = split_of(project, raw, manifest)
    with replacing_folder(target) as beside:
        _write(split, manifest, raw, beside, progress)
        checks = [*_size_checks(split), *_overlap_checks(split), *_leak_checks(split)]
        result = _told(split, manifest, checks).because(
            outputs={str(target / name): sha256(beside / name) for name in SIDES}
        )
        if result.outcome is not Outcome.PASSED:
            raise _Refused(result.because(outputs={}))
        write_json(beside / SPLIT, finite({**result.data, "data_version": manifest.version}))
    return result


def _checked(verdict: Path, manifest: Manifest) -> None:
    """Hold back data that nobody checked; DVC sees to the order of stages, this sees to it by hand, too."""
    if not verdict.is_file():
        raise BadInput(f"{verdict}: not there: the data was not checked, or did not pass", hint="run check_data first")
    if dict(read_json(verdict)).get("data_version") != manifest.version:
        raise BadInput(f"{verdict}: is of another data version", hint="run check_data again")


def _write(split: Split, manifest: Manifest, raw: Path, beside: Path, progress: Progress) -> None:
    """Write the sides of a period while the next one is read and split: two of them are in memory."""
    columns, sides = kept(split.project.contract), _Sides(beside, split.project.contract)
    with closing(sides), ThreadPoolExecutor(1, "write") as thread:
        written: Future[None] | None = None
        for part in progress.over(manifest.parts, f"prepare {manifest.project}"):
            made = split.of(read_part(raw, part, columns)[columns])
            if written:
                written.result()
            written = thread.submit(sides.add, made)
        if written:
            written.result()


@dataclass
class _Sides:
    """The files of both sides, as long as they grow."""

    folder: Path
    contract: Contract
    writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)

    def add(self, made: Mapping[str, pd.DataFrame]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name, side in made.items():
            table = pa.Table.from_pandas(_dense(side, self.contract), preserve_index=False)
            if name not in self.writers:
                self.writers[name] = pq.ParquetWriter(self.folder / name, table.schema, compression="zstd")
            self.writers[name].write_table(table.cast(self.writers[name].schema), row_group_size=_CHUNK_ROWS)

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


def _dense(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    target = contract.columns[contract.target].type
    return frame.astype({contract.target: "bool" if target is Type.BOOLEAN else frame[contract.target].dtype})


def _size_checks(split: Split) -> Iterator[Check]:
    for name, word in SIDES.items():
        side = split.sides[name]
        few, use = side.rows < _MIN_ROWS, {"train": "to learn from", "test": "to judge by"}[word]
        where = f": {_cut_in_words(split)}" if few else ""
        message = f"{side.rows:,} rows {use}{where}"
        yield Check(f"rows {word}", Found.REJECTED if few else Found.PASSED, message, side.rows, _MIN_ROWS)
        if not few and split.project.contract.task is not Task.REGRESSION:
            one, target = len(side.classes) < 2, split.project.contract.target
            message = f"the rows {use} have {'one value' if one else f'{len(side.classes):,} values'} of {target}"
            message += f", {next(iter(side.classes))}" if one else ""
            yield Check(f"values {word}", Found.REJECTED if one else Found.PASSED, message, len(side.classes), 2)


def _cut_in_words(split: Split) -> str:
    cut = split.cut
    if cut.train_end is None or cut.test_start is None or cut.test_end is None:
        return f"strategy {split.project.params.split.strategy}"
    return (
        f"train ends {cut.train_end:%Y-%m-%d %H:%M}, test is {cut.test_start:%Y-%m-%d} to {cut.test_end:%Y-%m-%d %H:%M}"
    )


def _overlap_checks(split: Split) -> Iterator[Check]:
    test = np.concatenate([np.empty(0, dtype=np.uint64), *split.sides[TEST].hashes])
    twice = int(_seen(test, split.sides[TRAIN].hashes).sum())
    share = twice / max(len(test), 1)
    message = f"{twice:,} test rows ({share:.1%}) have the features of a training row"
    yield Check("rows on both sides", Found.WARNED if twice else Found.PASSED, message, share, 0.0, n=len(test))
    group = split.project.contract.group
    if group:
        groups = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *split.sides[TEST].groups]))
        both = int(_seen(groups, split.sides[TRAIN].groups).sum())
        outcome = Found.REJECTED if both else Found.PASSED
        yield Check("groups on both sides", outcome, f"{both:,} values of {group} are on both sides", both, 0)


def _seen(wanted: rows.Array, chunks: list[rows.Array]) -> rows.Array:
    """Say which of `wanted` `(n,)` appear in any chunk, in memory that does not grow with the chunks."""
    values, place = np.unique(wanted, return_inverse=True)
    found = np.zeros(len(values), dtype=bool)
    for chunk in chunks if len(values) else ():
        at = np.searchsorted(values, chunk).clip(max=len(values) - 1)
        found[at[values[at] == chunk]] = True
    return found[place]


def _leak_checks(split: Split) -> Iterator[Check]:
    """A feature that alone tells the target is the target in disguise; one that comes with it is known too late."""
    contract, sample = split.project.contract, pd.concat(split.samples, ignore_index=True)
    if sample.empty:
        return
    alone = single_feature_scores(sample, contract)
    together = _missing_together(split)
    for name, score in alone.items():
        message = _why_it_leaks(name, score, together.get(name), contract)
        if message:
            trusted = name in split.project.params.split.trusted
            kind = Found.WARNED if trusted or not _is_strong(score, contract) else Found.REJECTED
            yield Check(f"leak {name}", kind, message, score, _ALMOST_THE_TARGET, n=len(sample))
    best = max(alone, key=lambda name: alone[name])
    message = f"the strongest single feature is {best}, with {_metric(contract)} {alone[best]:.3f}"
    yield Check("leak", Found.PASSED, message, alone[best], _ALMOST_THE_TARGET, n=len(sample))


def _why_it_leaks(name: str, score: float, together: float | None, contract: Contract) -> str:
    alone = f"{name} alone tells {contract.target} with {_metric(contract)} {score:.3f}"
    if together is not None:
        gaps = f"missing in {together:.0%} of the rows whose {contract.target} is unknown and hardly ever in others"
        said = f"{alone}, and it is {gaps}" if _is_strong(score, contract) else f"{name} is {gaps}"
        return f"{said}: is it known only afterwards?"
    return f"{alone}: is it known only afterwards?" if score > _ALMOST_THE_TARGET else ""


def _missing_together(split: Split) -> dict[str, float]:
    """Name the features that are there once the target is there, and seldom before, with their share of gaps before."""
    counts, found = split.unknown, {}
    for name, gaps in counts.missing_if_unknown.items():
        share = gaps / max(counts.unknown, 1)
        rare = counts.missing_if_known[name] <= 0.001 * counts.known
        if counts.unknown >= _FEW_UNKNOWN and rare and share > _MISSING_TOGETHER:
            found[name] = share
    return found


def _is_strong(score: float, contract: Contract) -> bool:
    return score > _STRONG.get(contract.task, _STRONG_R2)


def _metric(contract: Contract) -> str:
    return "an AUC of" if contract.task in _STRONG else "an R² of"


def single_feature_scores(frame: pd.DataFrame, contract: Contract) -> dict[str, float]:
    """
    Score each feature by what it tells alone: AUC for a binary target, R² otherwise, both from out-of-fold bin means.

    Two folds: the mean target per bin (twenty quantiles, or category) of one half predicts the other.
    """
    from ci.stats.ranking import placements

    target = rows.labels(frame[contract.target], contract).astype("float64")
    even = np.arange(len(frame)) % 2 == 0
    scores = {}
    for name, column in contract.features.items():
        bins = _bins(frame[name], column.type)
        guess = np.where(even, _bin_means(bins, target, ~even), _bin_means(bins, target, even))
        if contract.task in {Task.BINARY, Task.RANKING}:
            both = 0 < target.mean() < 1
            scores[name] = float(placements(target, guess)[target == 1].mean()) if both else 0.5
        else:
            scores[name] = max(0.0, 1 - float(np.mean((target - guess) ** 2) / max(np.var(target), 1e-300)))
    return scores


def _bins(series: pd.Series[Any], kind: Type) -> rows.Array:
    if kind in {Type.STRING, Type.BOOLEAN}:
        return np.asarray(pd.factorize(series)[0])
    values = (series.astype("int64") if kind is Type.DATETIME else series).to_numpy(dtype="float64", na_value=np.nan)
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], _QUANTILES)) if known.any() else np.empty(0)
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))  # few values: each its own bin


def _bin_means(bins: rows.Array, target: rows.Array, fit: rows.Array) -> rows.Array:
    shifted = bins + 1
    size = int(shifted.max()) + 1
    count = np.bincount(shifted[fit], minlength=size) + 1.0
    total = np.bincount(shifted[fit], weights=target[fit], minlength=size) + target[fit].mean()
    means: rows.Array = (total / count)[shifted]
    return means


def _told(split: Split, manifest: Manifest, checks: list[Check]) -> Result:
    first, outcome = deciding(checks), worst(checks)
    counts = {word: split.sides[name].rows for name, word in SIDES.items()}
    moments = {name: moment for name, moment in vars(split.cut).items() if moment}
    cut = {name: moment.isoformat() for name, moment in moments.items()}
    shown = {name.replace("_", " "): f"{moment:%Y-%m-%d %H:%M}" for name, moment in moments.items()}
    strategy = split.project.params.split.strategy
    message, hint = f"{counts['train']:,} rows to learn from, {counts['test']:,} to judge by", ""
    if outcome is not Outcome.PASSED and first:
        message, hint = first.message, _hint(first)
    return Result(
        message,
        outcome,
        hint,
        checks=checks,
        facts={"strategy": strategy, **counts, **shown, "data version": manifest.version[:12]},
        tables=[Table("Rows left out", ("why", "rows"), list(split.dropped.items()))],
        inputs={"data version": manifest.version},
        data={"rows": counts, "cut": cut, "dropped": split.dropped, "strategy": strategy},
    )


def _hint(check: Check) -> str:
    if check.name.startswith("leak "):
        return "give the column the role `after` in the contract, or list it under split.trusted"
    return "look at `split` in the project's params" if check.name.startswith(("rows ", "values ")) else ""
