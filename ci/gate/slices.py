"""
Slices: is the challenger worse for somebody, and is that more than the chance of looking at many?

Every slice with enough rows is tested one-sided for a loss beyond the margin, and Holm's procedure keeps the chance of
any false alarm among all of them at 5 %. A slice whose interval leaves the question open, and that is too small to see
twice the margin, is reported as underpowered: it vetoes only with evidence, never by the lack of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ci import stats
from ci.contract import Task
from ci.gate.contest import plain, signed, size
from ci.gate.verdict import SliceFound
from ci.report import Check, Found
from ci.templating import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.gate.rules import Rules
    from ci.gate.sample import Array, Sample
    from ci.params_gate import Policy

ALPHA = 0.05
"""Chance that harmless slices reject a challenger; a veto is no promotion and spends no budget of the test set."""


class _Slice(NamedTuple):
    """Rows of one value of a column, by number (n_part,)."""

    column: str
    value: str
    rows: Array


@dataclass(frozen=True)
class _Tested:
    """A slice whose gain was measured, before Holm's correction."""

    of: _Slice
    challenger: float
    champion: float
    gain: stats.Estimate
    margin: float
    disagreement: float


def judged(sample: Sample, policy: Policy, rules: Rules) -> list[SliceFound]:
    """Judge all slices; the one that does most damage to the whole comes first, the unmeasured ones last."""
    tested, found = [], []
    for item in _slices(sample, policy.slices.max_values):
        column, value, rows = item
        try:
            tested.append(_tested(sample.part(rows), policy, rules, item))
        except ValueError as error:
            check = Check(f"slice {column}={value}", Found.SKIPPED, str(error), n=len(rows), extra={"kind": "slice"})
            found.append(SliceFound(column, value, len(rows), check))
    adjusted = stats.holm([item.gain.p_below(-item.margin) for item in tested])
    found += [_found(item, float(p), sample, policy, rules) for item, p in zip(tested, adjusted, strict=True)]
    return sorted(found, key=lambda item: (item.damage is None, -(item.damage or 0.0), -item.n))


def _slices(sample: Sample, most: int) -> Iterator[_Slice]:
    """Yield column, value and row numbers, most frequent first; rare values of a column together."""
    import pandas as pd

    for column, values in sample.slices.items():
        codes, names = pd.factorize(np.asarray(values))
        codes = np.where(codes < 0, len(names), codes)
        texts = [*(str(name) for name in names), "(missing)"]
        sizes = np.bincount(codes, minlength=len(texts))
        order = np.argsort(-sizes, kind="stable")
        order = order[sizes[order] > 0]
        rank = np.empty(len(texts), dtype=np.int64)
        rank[order] = np.arange(len(order))
        placed = np.minimum(rank[codes], most)
        groups = np.split(np.argsort(placed, kind="stable"), np.cumsum(np.bincount(placed))[:-1])
        for place, rows in enumerate(groups):
            value = texts[order[place]] if place < most else f"(other: {len(order) - most} values)"
            yield _Slice(column, value, rows)


def _tested(part: Sample, policy: Policy, rules: Rules, of: _Slice) -> _Tested:
    """Measure one slice; ValueError says why it cannot be judged."""
    limits = policy.slices
    if part.n < limits.min_rows:
        raise ValueError(f"too small: {part.n:,} rows, {limits.min_rows} are needed")
    if (events := _events(part)) < limits.min_events:
        raise ValueError(f"too small: {events} rows of the rarer class, {limits.min_events} are needed")
    if part.n_clusters is not None and part.n_clusters < policy.min_clusters:
        raise ValueError(f"too small: {part.n_clusters} clusters, {policy.min_clusters} are needed")
    metric = rules.slices.metric
    gain, challenger = part.gain(metric.name), part.estimate(metric.name).value
    champion = part.champions(metric, challenger, gain.value)
    margin = limits.margin or 2 * rules.slices.margin_at(champion)
    return _Tested(of, challenger, champion, gain, margin, part.disagreement)


def _events(part: Sample) -> int:
    """Rows of the rarer class; for several classes, rows outside the most frequent one."""
    if part.task is Task.REGRESSION:
        return part.n
    return part.n - int(np.bincount(part.y.astype(np.int64)).max())


def _found(item: _Tested, adjusted: float, sample: Sample, policy: Policy, rules: Rules) -> SliceFound:
    gain, name = item.gain, rules.slices.metric.name
    mde = gain.mde(ALPHA, policy.power)
    figures = f"{name} {number(item.challenger)} against {number(item.champion)}, gain {signed(gain.value)}"
    certain = gain.lower(1 - ALPHA) > -item.margin
    check = Check(
        f"slice {item.of.column}={item.of.value}",
        Found.PASSED,
        f"{'not worse here' if certain else f'no loss beyond {size(item.margin)} shown'}: {figures}",
        gain.value,
        -item.margin,
        (gain.lower(1 - ALPHA), gain.upper(1 - ALPHA)),
        gain.n,
        {
            "kind": "slice",
            "metric": name,
            "p_holm": adjusted,
            "mde": mde,
            "margin": item.margin,
            "disagreement": item.disagreement,
            **plain(gain),
        },
    )
    if adjusted <= ALPHA:
        check = replace(check, outcome=Found.REJECTED, message=f"worse here, Holm p {adjusted:.2g}: {figures}")
    elif not certain and mde > 2 * item.margin:
        message = f"underpowered: losses below {size(mde)} stay unseen; {figures}"
        check = replace(check, outcome=Found.SKIPPED, message=message)
    column, value, rows = item.of
    damage = -gain.value * len(rows) / sample.n
    return SliceFound(column, value, len(rows), check, gain.value, damage, item.challenger, item.champion)
