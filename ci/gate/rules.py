"""
From a policy and a task to rules: which metrics are compared, by which margin, against which floor.

A policy that can never pass, or never fail, is refused with the reason: a gate that is shipped switched off protects
nobody, and one that is shut teaches people to walk around it.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.contract import Task
from ci.errors import BadInput
from ci.params_gate import MetricRule
from ci.stats import METRICS, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.params_gate import GoldenRow, Policy
    from ci.stats import Metric

COMPARED = {
    Task.BINARY: ("auc", "log_loss", "brier"),
    Task.MULTICLASS: ("log_loss", "accuracy", "brier"),
    Task.REGRESSION: ("mae", "rmse"),
    Task.RANKING: ("auc", "average_precision"),
}
"""Metrics that are compared under an empty policy; the first decides. The proper scores guard calibration."""

_RANGES = {
    **dict.fromkeys(("auc", "average_precision", "accuracy", "f1", "precision", "recall", "macro_f1"), (0.0, 1.0)),
    **dict.fromkeys(("kappa", "mcc"), (-1.0, 1.0)),
    "r2": (-math.inf, 1.0),
    "brier": (0.0, 2.0),
}
_ERRORS = (0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Rule:
    """One metric: `margin` in its unit or, if `relative`, as a share of the champion's value."""

    metric: Metric
    margin: float | None
    relative: bool
    floor: float | None
    compared: bool

    def margin_at(self, champion: float) -> float:
        """
        Return the largest loss that counts as none against a champion of this value, in the metric's unit.

        Raises:
            BadInput: there is none, or it is a share of nothing.
        """
        where = f"gate.metrics.{self.metric.name}"
        if self.margin is None:
            raise BadInput(f"{where}: has no default margin, its unit is the target's", hint="declare a margin")
        if self.relative and champion == 0:
            raise BadInput(
                f"{where}: a relative margin of a champion at zero is zero", hint="declare an absolute margin"
            )
        return self.margin * abs(champion) if self.relative else self.margin


@dataclass(frozen=True, slots=True)
class Rules:
    """All metrics of a policy on a task; the primary one is first."""

    task: Task
    primary: str
    metrics: Mapping[str, Rule]
    slices: Rule

    @property
    def compared(self) -> list[Rule]:
        """Return the rules whose metric is compared with the champion's, the primary one first."""
        return [rule for rule in self.metrics.values() if rule.compared]


def resolve(policy: Policy, task: Task | str) -> Rules:
    """
    Fill in what the policy leaves open.

    Raises:
        BadInput: an unknown metric, one that does not fit the task, or a rule that can never pass or never fail.
    """
    task = Task(task)
    primary = policy.primary or COMPARED[task][0]
    names = dict.fromkeys([primary, *COMPARED[task], *policy.metrics])
    metrics = {name: _rule(name, policy.metrics.get(name, MetricRule()), task) for name in names}
    for problem in (*_classes_named(policy, task), *_impossible(policy, task, metrics[primary])):
        raise BadInput(f"gate.{problem}")
    sliced = policy.slices.metric or primary
    return Rules(task, primary, metrics, metrics.get(sliced) or _rule(sliced, MetricRule(), task))


def _rule(name: str, given: MetricRule, task: Task) -> Rule:
    where = f"gate.metrics.{name}"
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, n=1)
        raise BadInput(f"{where}: unknown metric", hint=f"did you mean {near[0]}?" if near else ", ".join(METRICS))
    metric = lookup(name)
    if task.value not in metric.tasks:
        fitting = ", ".join(other for other, found in METRICS.items() if task.value in found.tasks)
        raise BadInput(f"{where}: does not fit a {task} task", hint=f"these do: {fitting}")
    if problem := _impossible_rule(metric, given):
        raise BadInput(f"{where}.{problem}")
    if given.relative_margin is not None:
        return Rule(metric, given.relative_margin, relative=True, floor=given.floor, compared=given.compare)
    if given.margin is not None:
        return Rule(metric, given.margin, relative=False, floor=given.floor, compared=given.compare)
    if metric.margin is None and given.compare:
        raise BadInput(f"{where}: has no default margin, its unit is {metric.unit}", hint="declare a margin")
    return Rule(metric, metric.margin, relative=metric.relative, floor=given.floor, compared=given.compare)


def _impossible_rule(metric: Metric, given: MetricRule) -> str | None:
    least, most = _RANGES.get(metric.name, _ERRORS)
    if given.margin is not None and given.margin >= most - least:
        return f"margin: can never fail: {metric.name} lies between {least:g} and {most:g}"
    if given.floor is None:
        return None
    if not math.isfinite(given.floor):
        return "floor: is not a number"
    best, worst = (most, least) if metric.direction > 0 else (least, most)
    if metric.direction * (given.floor - best) >= 0:
        return f"floor: can never pass: no {metric.name} is better than {best:g}"
    if metric.direction * (given.floor - worst) <= 0:
        return f"floor: can never fail: no {metric.name} is worse than {worst:g}"
    return None


def _classes_named(policy: Policy, task: Task) -> Iterator[str]:
    """Several classes have no single answer to go up or down; other tasks have no classes to name."""
    several, asked = task is Task.MULTICLASS, policy.behaviour
    for place, rule in enumerate(asked.monotonicities):
        where = f"behaviour.monotonicities.{place}"
        if several and rule.of is None:
            yield f"{where}: needs `of`, the class whose probability is to go {rule.direction}"
        if not several and rule.of is not None:
            yield f"{where}.of: {rule.of}: a {task} model has no classes to choose from"
    for place, golden in enumerate(asked.golden):
        where, named = f"behaviour.golden.{place}", golden.of or golden.first_choice
        if several and golden.limited and golden.of is None:
            yield f"{where}: needs `of`, the class whose probability at_least and at_most mean"
        if not several and named is not None:
            yield f"{where}: {named}: a {task} model has no classes to choose from"


def _impossible(policy: Policy, task: Task, primary: Rule) -> Iterator[str]:
    least, most = _RANGES.get(primary.metric.name, _ERRORS)
    if policy.min_gain >= most - least:
        yield f"min_gain: can never pass: {primary.metric.name} lies between {least:g} and {most:g}"
    if task not in {Task.BINARY, Task.MULTICLASS}:
        return
    for place, item in enumerate(policy.behaviour.invariances):
        if item.tolerance >= 1:
            yield f"behaviour.invariances.{place}.tolerance: can never fail: no probability changes by more than 1"
    for place, golden in enumerate(policy.behaviour.golden):
        if golden.limited and (problem := _impossible_golden(golden)):
            yield f"behaviour.golden.{place}: {problem}"


def _impossible_golden(golden: GoldenRow) -> str | None:
    low, high = (
        (0.0 if golden.at_least is None else golden.at_least),
        (1.0 if golden.at_most is None else golden.at_most),
    )
    if low > 1 or high < 0:
        return "can never pass: a probability lies between 0 and 1"
    if low <= 0 and high >= 1:
        return "can never fail: a probability always lies between 0 and 1"
    return None
