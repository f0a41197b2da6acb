"""
Quality from delayed labels: what a release's answers of a day cost once it is known how things went.

An answer is wrong or it is not; or, of a probability, it costs its squared error (Brier 1950), which tells a model that
is sure of the wrong thing from one that only leans to it, and one that promises too much from one that is honest.

A day counts once every label of it could have come: when events from after its horizon have arrived. Of a day of which
most labels are missing nobody knows how it was, and it does not count either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ci.verification.interface import CANARY
from ci.verification.windows import Counts, Windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.params_verification import Collector, Measure
    from ci.rollout.interface import Question

DAY_S = 86_400.0
MILLION = 1_000_000
MILLIONTHS = (
    "millionths"  # the cell of costs that are no whole numbers: evidence holds integers, and replays to the bit
)


@dataclass(frozen=True, slots=True)
class Answering:
    """
    How a release's answers are told right from wrong, or what they cost.

    `classes` are those of a multiclass answer, in its order; `tolerance`, in the target's unit, is a regression's;
    `measure` is what `cost` measures.
    """

    task: str
    threshold: float = 0.5
    classes: Sequence[str] = ()
    tolerance: float | None = None
    measure: Measure = "wrong"

    def cost(self, predicted: Any, target: Any) -> float | None:
        """Return what an answer costs, 0 to 1, now that its label is known; None where nobody can say."""
        if self.measure == "wrong":
            found = self.wrong(predicted, target)
            return None if found is None else float(found)
        return self._squared(predicted, target)

    def _squared(self, predicted: Any, target: Any) -> float | None:
        """Return the squared error of a probability; of several classes half of their sum, which for two is the same."""
        if target is None or predicted is None:
            return None
        try:
            if self.task == "multiclass":
                given = [float(p) - (str(target) == name) for p, name in zip(predicted, self.classes, strict=True)]
                squared = sum(error * error for error in given) / 2
            else:
                squared = (float(predicted) - float(target)) ** 2
        except (TypeError, ValueError, OverflowError):
            return None
        return squared if self.task in {"binary", "multiclass"} and 0 <= squared <= 1 else None

    def wrong(self, predicted: Any, target: Any) -> bool | None:
        """Compare an answer with its label; None where one is missing, or of another form than the task's."""
        if target is None or predicted is None:
            return None
        try:
            if self.task == "multiclass":
                place = max(range(len(predicted)), key=lambda k: float(predicted[k]))
                return str(target) != str(self.classes[place])
            found, label = float(predicted), float(target)
        except (TypeError, ValueError, IndexError, KeyError, OverflowError):
            return None
        if not (math.isfinite(found) and math.isfinite(label)):
            return None
        if self.task == "regression":
            return None if self.tolerance is None else abs(found - label) > self.tolerance
        return (found >= self.threshold) != (label >= 0.5)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The answers of one release on one day (UTC): how many, of how many the label is known, what those cost in all."""

    day: date
    predictions: int
    labelled: int
    wrong: float


@dataclass(frozen=True, slots=True)
class Counted:
    """All cohorts of each arm; `watermark` is the newest event that the service has seen, None if it has seen none."""

    watermark: datetime | None
    horizon_days: float
    arms: Mapping[str, Sequence[Cohort]]
    measure: Measure = "wrong"


class Labels(Protocol):
    """Counts labelled answers."""

    def count(self, question: Question, arms: Sequence[str]) -> Counted:
        """
        Count those of the question's arms, by day.

        Raises:
            Unavailable: who keeps them does not answer.
            BadInput: they refuse the question.
        """


@dataclass(frozen=True, slots=True)
class Ripe:
    """Days that count, as windows; and what waits or was left out, for people."""

    windows: Windows
    told: str


def ripe(metric: str, counted: Counted, policy: Collector) -> Ripe:
    """Choose the days that count: those that all arms have, that are old enough and labelled well enough."""
    by_day = {arm: {item.day: item for item in cohorts} for arm, cohorts in counted.arms.items()}
    days = sorted(set.intersection(*[set(found) for found in by_day.values()])) if by_day else []
    old = [day for day in days if _complete(day, counted)]
    good = [day for day in old if all(_labelled(found[day], policy) for found in by_day.values())][-policy.days :]
    waiting, thin = len(days) - len(old), len(old) - len(good)
    told = f"{len(good)} days with labels"
    told += f", {waiting} wait for theirs" if waiting else ""
    told += f", {thin} have too few" if thin else ""
    return Ripe(_windows(metric, good, by_day, counted.measure), told)


def _complete(day: date, counted: Counted) -> bool:
    if counted.watermark is None:
        return False
    end = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1 + counted.horizon_days)
    return counted.watermark >= end


def _labelled(cohort: Cohort, policy: Collector) -> bool:
    return cohort.labelled >= max(policy.min_rows, policy.min_labelled * cohort.predictions)


def _windows(
    metric: str, days: Sequence[date], by_day: Mapping[str, Mapping[date, Cohort]], measure: Measure
) -> Windows:
    """Lay days out as windows; against a baseline each day is an instance, so that a verdict must survive without it."""
    starts = np.array([datetime.combine(day, datetime.min.time(), UTC).timestamp() for day in days], dtype=float)
    arms, cell, unit = {}, *(("bad", 1) if measure == "wrong" else (MILLIONTHS, MILLION))
    for arm, found in by_day.items():
        counts = [[round(found[day].wrong * unit), found[day].labelled] for day in days]
        values = np.array(counts, dtype=np.int64).reshape(-1, 2)
        if len(by_day) == 1:
            arms[arm] = Counts(("labels",), values[:, None, :])
        else:
            spread = np.zeros((len(days), len(days), 2), dtype=np.int64)
            spread[np.arange(len(days)), np.arange(len(days))] = values
            arms[arm] = Counts(tuple(map(str, days)), spread)
    return Windows(metric, DAY_S, starts, (cell, "all"), arms, np.full(len(days), 1.0 if len(by_day) == 1 else 0.5))


def lone(windows: Windows) -> bool:
    """Say whether windows are of one release alone."""
    return set(windows.arms) == {CANARY}
