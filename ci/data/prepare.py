"""
Prepare: from checked rows to a train and a test set that do not know each other.

Streams period by period, so that memory grows with hashes (8 bytes a row), not with rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.contract import Task, Type
from ci.data import rows
from ci.data.layout import SPLIT, TEST, TRAIN
from ci.data.manifest import Manifest, load_manifest, read_part
from ci.errors import BadInput, Outcome
from ci.files import replacing_folder, sha256, write_json
from ci.report import Check, Found, Result, Table, deciding, finite, worst

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ci.contract import Contract
    from ci.progress import Progress
    from ci.project import Project

_LEAK_AUC = 0.95
_SAMPLE = 100_000
_MIN_ROWS = 20


@dataclass(frozen=True)
class Cut:
    """Where the split lies; for a split by time `[…, train_end)` learns and `[test_start, test_end)` judges."""

    train_start: datetime | None = None
    train_end: datetime | None = None
    test_start: datetime | None = None
    test_end: datetime | None = None


@dataclass
class _Split:
    project: Project
    cut: Cut
    test_groups: rows.Array
    dropped: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, list[rows.Array]] = field(default_factory=lambda: {TRAIN: [], TEST: []})
    groups: dict[str, list[rows.Array]] = field(default_factory=lambda: {TRAIN: [], TEST: []})
    counts: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, TEST: 0})
    samples: list[pd.DataFrame] = field(default_factory=list)

    def of(self, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Cut one period in two, without rows that have no target."""
        contract = self.project.contract
        known = frame[contract.target].notna()
        self._drop("unknown target", int((~known).sum()))
        frame = frame[known]
        sides = self._sides(frame)
        if contract.group and len(self.test_groups):
            told = (sides == TRAIN) & np.isin(rows.row_hashes(frame[[contract.group]]), self.test_groups)
            self._drop(f"older rows of a {contract.group} in the test set", int(told.sum()))
            sides[told] = ""
        made = {name: frame[sides == name] for name in (TRAIN, TEST)}
        for name, part in made.items():
            self.counts[name] += len(part)
            self.hashes[name].append(rows.row_hashes(part[list(contract.features)]))
            if contract.group:
                self.groups[name].append(rows.row_hashes(part[[contract.group]]))
        self.samples.append(made[TRAIN])
        return made

    def _drop(self, why: str, count: int) -> None:
        self.dropped[why] = self.dropped.get(why, 0) + count

    def _sides(self, frame: pd.DataFrame) -> rows.Array:
        """Say for each row where it goes: TRAIN, TEST or nowhere ('')."""
        settings, contract = self.project.params.split, self.project.contract
        if settings.strategy == "time" and contract.event_time:
            sides = _by_time(frame[contract.event_time], self.cut)
            self._drop("in the gap, before the history, or too young for a label", int((sides == "").sum()))
            return sides
        names = (
            [contract.group]
            if settings.strategy == "group" and contract.group
            else contract.keys or list(contract.features)
        )
        return _by_hash(frame[names], settings.test_share, settings.seed)


def prepare(project: Project, raw: Path, target: Path, progress: Progress) -> Result:
    """
    Write train.parquet, test.parquet and split.json into `target`, together or not at all.

    A leak is a verdict: then `target` stays as it was.

    Raises:
        BadInput: the settings of the split cannot work on this data.
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    manifest = load_manifest(raw)
    cut = _cut(project, manifest)
    split = _Split(project, cut, _groups_of_test(project, raw, manifest, cut))
    columns = _kept(project.contract)
    with replacing_folder(target) as beside:
        writers: dict[str, pq.ParquetWriter] = {}
        for part in progress.over(manifest.parts, f"prepare {project.name}"):
            frame = read_part(raw, part)[columns]
            for name, rows_of_side in split.of(frame).items():
                table = pa.Table.from_pandas(_dense(rows_of_side, project.contract), preserve_index=False)
                if name not in writers:
                    writers[name] = pq.ParquetWriter(beside / name, table.schema, compression="zstd")
                writers[name].write_table(table.cast(writers[name].schema), row_group_size=131_072)
        for writer in writers.values():
            writer.close()
        checks = [*_size_checks(split), *_leak_checks(split)]
        result = _told(project, manifest, split, checks, target, beside)
        if result.outcome is not Outcome.PASSED:
            raise _Refused(result)
        write_json(beside / SPLIT, finite({**result.data, "data_version": manifest.version}))
    return result


def _groups_of_test(project: Project, raw: Path, manifest: Manifest, cut: Cut) -> rows.Array:
    """Hash the groups that the test period will hold: their older rows must not be learned from."""
    group, time = project.contract.group, project.contract.event_time
    if group is None or time is None or cut.test_start is None:
        return np.empty(0, dtype=np.uint64)
    found = [np.empty(0, dtype=np.uint64)]
    for part in manifest.parts:
        if part.newest and datetime.fromisoformat(part.newest) >= cut.test_start:
            frame = read_part(raw, part, [group, time])
            found.append(rows.row_hashes(frame.loc[_by_time(frame[time], cut) == TEST, [group]]))
    return np.unique(np.concatenate(found))


def _cut(project: Project, manifest: Manifest) -> Cut:
    settings, contract = project.params.split, project.contract
    if settings.strategy == "group" and contract.group is None:
        raise BadInput("split.strategy: group needs a `group` in the contract")
    if settings.strategy != "time":
        return Cut()
    if contract.event_time is None:
        raise BadInput("split.strategy: time needs an `event_time` in the contract", hint="or use random or group")
    mature = project.as_of - timedelta(days=contract.label_horizon_days)
    newest = datetime.fromisoformat(manifest.watermark or manifest.as_of) + timedelta(microseconds=1)
    end = min(mature, newest)
    test_start = _midnight(end - timedelta(days=settings.test_days))
    train_end = test_start - timedelta(days=settings.gap_days)
    train_start = train_end - timedelta(days=settings.train_days) if settings.train_days else None
    return Cut(train_start, train_end, test_start, end)


def _midnight(moment: datetime) -> datetime:
    """Round up: a test period made of whole days has whole clusters."""
    floor = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(days=1)


def _by_time(times: pd.Series[Any], cut: Cut) -> rows.Array:
    sides = np.full(len(times), "", dtype=object)
    sides[(times < cut.train_end) & (times >= (cut.train_start or pd.Timestamp.min))] = TRAIN
    sides[(times >= cut.test_start) & (times < cut.test_end)] = TEST
    return sides


def _by_hash(frame: pd.DataFrame, test_share: float, seed: int) -> rows.Array:
    """Draw by the hash of keys or group: a row keeps its side when others come and go."""
    salt = np.uint64(pd.util.hash_array(np.array([seed]))[0])
    drawn = (rows.row_hashes(frame) ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    return np.where(drawn >> np.uint64(11) < np.uint64(test_share * 2**53), TEST, TRAIN).astype(object)


def _kept(contract: Contract) -> list[str]:
    """Name the columns that later stages read; what is known only afterwards is not among them."""
    extra = [contract.target, *contract.slices, *contract.keys]
    cluster = None if contract.cluster == "day" else contract.cluster  # `day` is that of the event time
    extra += [name for name in (contract.event_time, cluster, contract.group) if name]
    return list(dict.fromkeys([*contract.features, *extra]))


def _dense(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    target = contract.columns[contract.target].type
    return frame.astype({contract.target: "bool" if target is Type.BOOLEAN else frame[contract.target].dtype})


def _size_checks(split: _Split) -> Iterator[Check]:
    for name, count in split.counts.items():
        outcome = Found.PASSED if count >= _MIN_ROWS else Found.REJECTED
        yield Check(f"rows {name.split('.')[0]}", outcome, f"{count:,} rows", count, _MIN_ROWS)


def _leak_checks(split: _Split) -> Iterator[Check]:
    train, test = (np.concatenate(split.hashes[name]) for name in (TRAIN, TEST))
    twice = int(np.isin(test, train).sum())
    share = twice / max(len(test), 1)
    message = f"{twice:,} test rows ({share:.1%}) have the features of a training row"
    yield Check("rows on both sides", Found.WARNED if twice else Found.PASSED, message, share, 0.0, n=len(test))
    if split.project.contract.group:
        learned, judged = (np.concatenate(split.groups[name]) for name in (TRAIN, TEST))
        both = len(np.intersect1d(learned, judged))
        outcome = Found.REJECTED if both else Found.PASSED
        yield Check("groups on both sides", outcome, f"{both:,} values of {split.project.contract.group}", both, 0)
    yield from _single_features(split)


def _single_features(split: _Split) -> Iterator[Check]:
    """A feature that alone tells the target is the target in disguise."""
    sample = pd.concat(split.samples)
    if len(sample) > _SAMPLE:
        sample = sample.sample(_SAMPLE, random_state=0)
    if sample.empty:
        return
    alone = single_feature_scores(sample, split.project.contract)
    for name, score in alone.items():
        if score > _LEAK_AUC:
            message = (
                f"alone it tells {split.project.contract.target} with a score of {score:.3f}: known only afterwards?"
            )
            yield Check(f"leak {name}", Found.REJECTED, message, score, _LEAK_AUC, n=len(sample))
    best = max(alone, key=lambda name: alone[name])
    yield Check("leak", Found.PASSED, f"the strongest single feature is {best}", alone[best], _LEAK_AUC, n=len(sample))


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
    values = series.astype("int64") if kind is Type.DATETIME else series.astype("float64")
    return pd.qcut(values, 20, labels=False, duplicates="drop").fillna(-1).to_numpy(dtype="int64")


def _bin_means(bins: rows.Array, target: rows.Array, fit: rows.Array) -> rows.Array:
    shifted = bins + 1
    size = int(shifted.max()) + 1
    count = np.bincount(shifted[fit], minlength=size) + 1.0
    total = np.bincount(shifted[fit], weights=target[fit], minlength=size) + target[fit].mean()
    means: rows.Array = (total / count)[shifted]
    return means


def _told(
    project: Project, manifest: Manifest, split: _Split, checks: list[Check], target: Path, beside: Path
) -> Result:
    first, outcome = deciding(checks), worst(checks)
    counts = {name.split(".")[0]: count for name, count in split.counts.items()}
    cut = {name: moment.isoformat() for name, moment in vars(split.cut).items() if moment}
    message = f"{counts['train']:,} rows to learn from, {counts['test']:,} to judge by"
    if outcome is not Outcome.PASSED and first:
        message = f"{first.name}: {first.message}"
    return Result(
        message,
        outcome,
        checks=checks,
        facts={"strategy": project.params.split.strategy, **counts, **cut, "data version": manifest.version[:12]},
        tables=[Table("Rows left out", ("why", "rows"), list(split.dropped.items()))],
        inputs={"data version": manifest.version},
        outputs={str(target / name): sha256(beside / name) for name in (TRAIN, TEST) if (beside / name).exists()},
        data={"rows": counts, "cut": cut, "dropped": split.dropped, "strategy": project.params.split.strategy},
    )
