"""Metrics of a confusion table: F1, precision, recall, macro F1, kappa, MCC."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from ci.stats.inputs import summed
from ci.stats.rows import decide
from ci.stats.variance import DOUBT_ROWS, Measured, jackknife, sandwich

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.stats.inputs import Codes, Floats, Sample
    from ci.stats.metrics import Metric
    from ci.stats.rows import Decision

_JOINT_CELLS = 512  # two models of eight classes: the most cells of (truth, decisions) that are handled one by one
_CHUNK = 1 << 22  # numbers held at once when many tables are made
_MOST_IN_CLUSTERS = 1 << 25  # numbers in the tables of all clusters; past it there are clusters enough to linearise


def f1(table: Floats) -> Floats:
    """
    Return 2TP/(2TP+FP+FN) of tables (…, 2, 2), rows are truth and columns decisions; 0 where there is nothing.

    Source: van Rijsbergen (1979), chapter 7.
    """
    hits = table[..., 1, 1]
    return _ratio(2 * hits, 2 * hits + table[..., 0, 1] + table[..., 1, 0])


def precision(table: Floats) -> Floats:
    """Return TP/(TP+FP) of tables (…, 2, 2); a model that never calls a positive has 0."""
    return _ratio(table[..., 1, 1], table[..., :, 1].sum(axis=-1))


def recall(table: Floats) -> Floats:
    """Return TP/(TP+FN) of tables (…, 2, 2)."""
    return _ratio(table[..., 1, 1], table[..., 1, :].sum(axis=-1))


def macro_f1(table: Floats) -> Floats:
    """Return the mean of F1 over the classes of tables (…, k, k) that occur in truth or decisions."""
    hits = _diagonal(table)
    either = table.sum(axis=-1) + table.sum(axis=-2)
    return _ratio(_ratio(2 * hits, either).sum(axis=-1), (either > 0).sum(axis=-1).astype(np.float64))


def kappa(table: Floats) -> Floats:
    """
    Return agreement beyond chance, (p_o − p_e)/(1 − p_e), of tables (…, k, k).

    Source: Cohen (1960).
    """
    total = table.sum(axis=(-1, -2))
    chance = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1)
    return _ratio(total * _diagonal(table).sum(axis=-1) - chance, total**2 - chance)


def mcc(table: Floats) -> Floats:
    """
    Return the correlation of truth and decision of tables (…, k, k); 0 where either is constant.

    Source: Gorodkin (2004); for two classes Matthews (1975).
    """
    total, truth, called = table.sum(axis=(-1, -2)), table.sum(axis=-1), table.sum(axis=-2)
    covariance = total * _diagonal(table).sum(axis=-1) - (truth * called).sum(axis=-1)
    spread = (total**2 - (truth**2).sum(axis=-1)) * (total**2 - (called**2).sum(axis=-1))
    return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))


FORMULAS: Mapping[str, Callable[[Floats], Floats]] = {
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "macro_f1": macro_f1,
    "kappa": kappa,
    "mcc": mcc,
}


def measure(metric: Metric, sample: Sample, decision: Decision, *, draws: int = 10_000, seed: int = 0) -> Measured:
    """
    Return the metric or the gain of tables, with a standard error that suits the sample.

    Independent rows: the count-table bootstrap. Clusters: the delete-one-cluster jackknife of their tables, which in
    simulation covers like the cluster bootstrap and needs no draws. Weights without clusters, too many classes for
    the joint table or too many clusters: the infinitesimal jackknife, one number a joint cell.
    """
    cells = _Cells(metric, sample, [decide(scores, decision) for scores in sample.models])
    if 0 < (sample.n_clusters or 0) * cells.whole.size <= _MOST_IN_CLUSTERS:
        se, method = jackknife(cells.gain(cells.whole - cells.per_cluster())), "jackknife of tables"
    elif sample.clusters is not None or sample.weighted or cells.n_joint > _JOINT_CELLS:
        se, method = sandwich(cells.influence(), sample), "linearised tables"
    else:
        se, method = cells.bootstrap(draws, seed), "count-table bootstrap"
    return Measured(float(cells.gain(cells.whole)), math.hypot(se, cells.doubt()), method)


class _Cells:
    """
    The confusion tables of one or two models on one sample.

    A stack of tables is (…, n_models, k, k). A joint cell is a combination of truth and every model's decision.
    """

    def __init__(self, metric: Metric, sample: Sample, called: list[Codes]) -> None:
        self.metric, self.sample = metric, sample
        self.k, self.n_models = sample.n_classes, len(called)
        truth = sample.truth.astype(np.int64)
        self.own = [truth * self.k + decisions for decisions in called]
        self.joint = self.own[0] if self.n_models == 1 else self.own[0] * self.k + called[1]
        self.n_joint = self.k ** (self.n_models + 1)
        self.whole = np.stack([self._table(cell) for cell in self.own])

    def _table(self, cell: Codes) -> Floats:
        return summed(cell, self.sample.weights, self.k**2).reshape(self.k, self.k)

    def gain(self, stack: Floats) -> Floats:
        """Metric or gain of each stack of tables (…, n_models, k, k): shape (…)."""
        formula = FORMULAS[self.metric.name]
        return np.asarray(self.metric.contrast([formula(stack[..., model, :, :]) for model in range(self.n_models)]))

    def per_cluster(self) -> Floats:
        """Tables of each cluster, (n_clusters, n_models, k, k)."""
        clusters, count = self.sample.clusters, self.sample.n_clusters or 0
        if clusters is None:
            raise ValueError("the rows have no clusters")
        cells = [clusters * self.k**2 + cell for cell in self.own]
        counted = [summed(cell, self.sample.weights, count * self.k**2) for cell in cells]
        return np.stack([table.reshape(count, self.k, self.k) for table in counted], axis=1)

    def stacks(self, cells: Codes) -> Floats:
        """Tables of one row in each of some joint cells (n_cells,): (n_cells, n_models, k, k)."""
        owns = [cells] if self.n_models == 1 else [cells // self.k, cells // self.k**2 * self.k + cells % self.k]
        made = np.zeros((len(cells), self.n_models, self.k**2))
        for model, own in enumerate(owns):
            made[np.arange(len(cells)), model, own] = 1
        return made.reshape(len(cells), self.n_models, self.k, self.k)

    def bootstrap(self, draws: int, seed: int) -> float:
        """
        Standard deviation over draws from multinomial(n, joint table / n), which is sufficient for what is measured.

        Source: Efron (1979), the bootstrap of a finite sample space: resampling rows is resampling their counts.
        """
        counts = self._canonical(np.bincount(self.joint, minlength=self.n_joint))
        rows = np.random.default_rng(seed).multinomial(self.sample.n_rows, counts / counts.sum(), size=draws)
        drawn = rows @ self.stacks(np.arange(self.n_joint)).reshape(self.n_joint, -1)
        return float(self.gain(drawn.reshape(draws, *self.whole.shape)).std(ddof=1))

    def _canonical(self, counts: Codes) -> Codes:
        """Joint counts of the two models in an order of their own, so that swapping them only turns the sign."""
        if self.n_models == 1:
            return counts
        swapped = counts.reshape(self.k, self.k, self.k).transpose(0, 2, 1).ravel()
        return min(counts, swapped, key=lambda cells: cells.tolist())

    def influence(self) -> Floats:
        """Each row's share in the error, (n_rows,), from what one more row of its joint cell would move."""
        seen, row = np.unique(self.joint, return_inverse=True)
        at_once = max(1, _CHUNK // self.whole.size)
        parts = [self._moved(seen[start : start + at_once]) for start in range(0, len(seen), at_once)]
        weights = self.sample.weights
        raw = weights / weights.mean() * np.concatenate(parts)[row]
        return np.asarray(raw - weights / weights.sum() * raw.sum())

    def doubt(self) -> float:
        """
        Standard error from the rows that nobody saw, see `DOUBT_ROWS`: of each class as many, each model right on half.

        A wrong decision is the next class; of two classes these are all joint cells.
        """
        truth = np.arange(self.k)
        wrong = (truth + 1) % self.k
        outcomes = itertools.product((truth, wrong), repeat=self.n_models)
        cells = [functools.reduce(lambda cell, called: cell * self.k + called, outcome, truth) for outcome in outcomes]
        moved = self._moved(np.concatenate(cells))
        return math.sqrt(DOUBT_ROWS * float(np.square(moved).mean()))

    def _moved(self, cells: Codes) -> Floats:
        """Change of the gain when a row of mean weight is added to each of some joint cells in turn, (n_cells,)."""
        return self.gain(self.whole + self.sample.weights.mean() * self.stacks(cells)) - self.gain(self.whole)


def _diagonal(table: Floats) -> Floats:
    return np.diagonal(table, axis1=-2, axis2=-1)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Quotient, and 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0)
