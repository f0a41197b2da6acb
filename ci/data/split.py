"""
Cutting rows into train and test: by time with a gap, by group, or at random; groups stay together.

Works period by period and remembers 8 bytes a row, so that memory does not grow with the columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.contract import Task
from ci.data import rows
from ci.data.layout import TEST, TRAIN
from ci.data.manifest import read_part
from ci.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from ci.contract import Contract
    from ci.data.manifest import Manifest
    from ci.data.rows import Array
    from ci.project import Project

SIDES = {TRAIN: "train", TEST: "test"}
SAMPLE = 100_000


@dataclass(frozen=True)
class Cut:
    """Where the split lies; for a split by time `[…, train_end)` learns and `[test_start, test_end)` judges."""

    train_start: datetime | None = None
    train_end: datetime | None = None
    test_start: datetime | None = None
    test_end: datetime | None = None


@dataclass
class Side:
    """What is remembered of one side: how many rows, hashes of their features and groups, their classes."""

    rows: int = 0
    hashes: list[Array] = field(default_factory=list)
    groups: list[Array] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)


@dataclass
class Unknown:
    """How often each feature is missing, in rows with and without a known target."""

    known: int = 0
    unknown: int = 0
    missing_if_known: dict[str, int] = field(default_factory=dict)
    missing_if_unknown: dict[str, int] = field(default_factory=dict)

    def add(self, frame: pd.DataFrame, known: pd.Series[bool], names: list[str]) -> None:
        """Count the rows of one period."""
        self.known, self.unknown = self.known + int(known.sum()), self.unknown + int((~known).sum())
        for name in names:
            missing = frame[name].isna()
            for counts, where in ((self.missing_if_known, known), (self.missing_if_unknown, ~known)):
                counts[name] = counts.get(name, 0) + int((missing & where).sum())


@dataclass
class Split:
    """Cuts period after period; `n_rows` is how many rows will come."""

    project: Project
    cut: Cut
    test_groups: rows.Array
    n_rows: int
    dropped: dict[str, int] = field(default_factory=dict)
    sides: dict[str, Side] = field(default_factory=lambda: {TRAIN: Side(), TEST: Side()})
    unknown: Unknown = field(default_factory=Unknown)
    samples: list[pd.DataFrame] = field(default_factory=list)

    def of(self, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Cut one period in two, without rows that have no target."""
        contract = self.project.contract
        known = frame[contract.target].notna()
        self.unknown.add(frame, known, list(contract.features))
        self._drop("unknown target", int((~known).sum()))
        frame = frame[known]
        sides = self._sides(frame)
        self._hold_groups(frame, sides)
        made = {name: frame[sides == name] for name in SIDES}
        for name, part in made.items():
            self._remember(self.sides[name], part)
        self._sample(made[TRAIN])
        return made

    def _hold_groups(self, frame: pd.DataFrame, sides: rows.Array) -> None:
        """Take out of the training rows what belongs to a group of the test set."""
        group = self.project.contract.group
        if group and len(self.test_groups):
            told = (sides == TRAIN) & np.isin(rows.row_hashes(frame[[group]]), self.test_groups)
            self._drop(f"older rows of a {group} in the test set", int(told.sum()))
            sides[told] = ""

    def _remember(self, side: Side, part: pd.DataFrame) -> None:
        contract = self.project.contract
        side.rows += len(part)
        side.hashes.append(rows.row_hashes(part[list(contract.features)]))
        if contract.group:
            side.groups.append(np.unique(rows.row_hashes(part[[contract.group]])))
        if contract.task is not Task.REGRESSION:
            side.classes |= set(part[contract.target].astype(str).unique())

    def _sample(self, train: pd.DataFrame) -> None:
        """Keep about 100,000 training rows in all, evenly over the periods, to look for leaks in."""
        share = min(1.0, SAMPLE / max(self.n_rows, 1))
        names = [*self.project.contract.features, self.project.contract.target]
        self.samples.append(train[names].sample(round(len(train) * share), random_state=0))

    def _drop(self, why: str, count: int) -> None:
        self.dropped[why] = self.dropped.get(why, 0) + count

    def _sides(self, frame: pd.DataFrame) -> rows.Array:
        """Say for each row where it goes: TRAIN, TEST or nowhere ('')."""
        settings, contract = self.project.params.split, self.project.contract
        if settings.strategy == "time" and contract.event_time:
            sides = by_time(frame[contract.event_time], self.cut)
            self._drop("in the gap, before the history, or too young for a label", int((sides == "").sum()))
            return sides
        by_group = settings.strategy == "group" and contract.group
        names = [str(contract.group)] if by_group else contract.keys or list(contract.features)
        return by_hash(frame[names], settings.test_share, settings.seed)


def split_of(project: Project, raw: Path, manifest: Manifest) -> Split:
    """
    Prepare to cut the data version in `raw`.

    Raises:
        BadInput: the strategy needs something that the contract does not name.
    """
    cut = cut_of(project, manifest)
    return Split(project, cut, _groups_of_test(project, raw, manifest, cut), manifest.rows)


def cut_of(project: Project, manifest: Manifest) -> Cut:
    """
    Say where a split by time lies: the newest `test_days` whole days with known labels are held out.

    Raises:
        BadInput: the strategy needs something that the contract does not name.
    """
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


def by_time(times: pd.Series[Any], cut: Cut) -> rows.Array:
    """Return the side of each row `(n_rows,)` by its moment."""
    sides = np.full(len(times), "", dtype=object)
    sides[(times < cut.train_end) & (times >= (cut.train_start or pd.Timestamp.min))] = TRAIN
    sides[(times >= cut.test_start) & (times < cut.test_end)] = TEST
    return sides


def by_hash(frame: pd.DataFrame, test_share: float, seed: int) -> rows.Array:
    """Draw by the hash of keys or group `(n_rows,)`: a row keeps its side when others come and go."""
    salt = np.uint64(pd.util.hash_array(np.array([seed]))[0])
    drawn = (rows.row_hashes(frame) ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    return np.where(drawn >> np.uint64(11) < np.uint64(test_share * 2**53), TEST, TRAIN).astype(object)


def kept(contract: Contract) -> list[str]:
    """Name the columns that later stages read; what is known only afterwards is not among them."""
    extra = [contract.target, *contract.slices, *contract.keys]
    cluster = None if contract.cluster == "day" else contract.cluster  # `day` is that of the event time
    extra += [name for name in (contract.event_time, cluster, contract.group) if name]
    return list(dict.fromkeys([*contract.features, *extra]))


def _groups_of_test(project: Project, raw: Path, manifest: Manifest, cut: Cut) -> rows.Array:
    """Hash the groups that the test period will hold: their older rows must not be learned from."""
    group, time = project.contract.group, project.contract.event_time
    if group is None or time is None or cut.test_start is None:
        return np.empty(0, dtype=np.uint64)
    found = [np.empty(0, dtype=np.uint64)]
    for part in manifest.parts:
        if part.newest and datetime.fromisoformat(part.newest) >= cut.test_start:
            frame = read_part(raw, part, [group, time])
            found.append(rows.row_hashes(frame.loc[by_time(frame[time], cut) == TEST, [group]]))
    return np.unique(np.concatenate(found))


def _midnight(moment: datetime) -> datetime:
    """Round up: a test period made of whole days has whole clusters."""
    floor = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(days=1)
