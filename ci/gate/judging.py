"""
The judge: pure, and small enough to be read before it is trusted.

STATISTICS.md §1 holds the method and its sources; ADR 0011 says where and why this differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ci import stats
from ci.contract import Task
from ci.errors import BadInput, Outcome
from ci.gate import contest, since, slices
from ci.gate.contest import Risk
from ci.gate.rules import resolve
from ci.gate.sample import checked
from ci.gate.verdict import Measured, Verdict, concluded
from ci.params_gate import Policy
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from ci.gate.rules import Rules
    from ci.gate.sample import Sample
    from ci.gate.verdict import SliceFound

_ALPHA = 0.05  # of what is asked of the challenger alone


def judge(
    y: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike | None = None,
    *,
    anchor: npt.ArrayLike | None = None,
    task: Task | str,
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    slices: Mapping[str, npt.ArrayLike] | None = None,
    policy: Policy | None = None,
    comparison: int = 1,
    more: Sequence[Check] = (),
) -> Verdict:
    """
    Decide whether the challenger may take the champion's place, both answering the same rows.

    y           (n_rows,) targets; classes are integers from 0
    challenger  (n_rows,) answers or probabilities of class 1; (n_rows, n_classes) for several classes
    champion    the same of the live model; None for a first release, which is judged by floors and skill alone
    anchor      the same of the release that no later one was shown to beat; None where that is the champion
    clusters    (n_rows,) what makes rows alike (day, customer), of any type; None takes rows as independent
    weights     (n_rows,) ≥ 0, how much of the population a row stands for
    slices      column to its values (n_rows,): where nobody may be worse off
    comparison  how many comparisons this test set has seen, with this one; later ones get a smaller share of alpha
    more        checks made elsewhere (behaviour, leakage, cost); they count in the verdict

    Raises:
        BadInput: an empty or single-class test set, arrays that do not fit, a policy that can never pass or fail.
    """
    policy = policy or Policy()
    rules = resolve(policy, task)
    given: dict[str, Any] = {"clusters": clusters, "weights": weights, "policy": policy}
    sample = checked(rules.task, y, challenger, champion, slices=slices, **given)
    lately = None if anchor is None else checked(rules.task, y, challenger, anchor, slices=None, **given)
    if (finite := _finite("challenger", sample.challenger, Found.REJECTED)).outcome is not Found.PASSED:
        return concluded([finite, *more])
    if sample.champion is None:
        return concluded([*_alone(sample, policy, rules, {}), *more], metrics=_measured_alone(sample, rules))
    theirs = _finite("champion", sample.champion, Found.INCONCLUSIVE)
    if theirs.outcome is not Found.PASSED:
        return _without_champion(sample, policy, rules, theirs, more)
    if np.array_equal(sample.challenger, sample.champion):
        return same(f"both models answer all {sample.n:,} rows alike")
    return _compared(sample, lately or sample, policy, rules, comparison, more)


def same(why: str) -> Verdict:
    """Return the verdict on a challenger that is the champion: nothing to decide, no release needed."""
    message = f"nothing to decide, no release needed: {why}"
    return Verdict(Outcome.PASSED, message, (Check("same", Found.PASSED, message),), release_needed=False)


def _compared(
    sample: Sample, lately: Sample, policy: Policy, rules: Rules, comparison: int, more: Sequence[Check]
) -> Verdict:
    """Judge against the champion and, where `lately` is another sample, against the anchor."""
    risk = Risk(stats.alpha_spending(comparison, policy.alpha), policy.power)
    enough = list(_enough(sample, policy))
    evidence = all(check.outcome is Found.PASSED for check in enough)
    found, problems = _measured(sample, rules) if _can_be_measured(sample) else ({}, [])
    by_slice = slices.judged(sample, policy, rules) if evidence and not problems else []
    return concluded(
        [
            *(check for check in enough if check.outcome is not Found.PASSED),
            *problems,
            *(_without_evidence(check, evidence=evidence) for check in _contests(sample, found, policy, rules, risk)),
            *(_without_evidence(check, evidence=evidence) for check in _lately(sample, lately, policy, rules, risk)),
            *_slice_checks(by_slice, policy),
            *_alone(sample, policy, rules, found, evidence=evidence),
            *(check for check in enough if check.outcome is Found.PASSED),
            *more,
        ],
        by_slice,
        comparison=comparison,
        alpha=risk.alpha,
        metrics=found,
        disagreement=sample.disagreement,
        beats_anchor=evidence and since.beaten(lately, rules, risk),
    )


def _finite(whose: str, answers: npt.NDArray[np.float64], otherwise: Found) -> Check:
    bad = int((~np.isfinite(answers)).sum())
    message = (
        f"{bad:,} of {answers.size:,} answers of the {whose} are NaN or infinite" if bad else "all answers are finite"
    )
    return Check(f"answers of the {whose}", otherwise if bad else Found.PASSED, message, bad, 0, n=len(answers))


def _without_champion(sample: Sample, policy: Policy, rules: Rules, why: Check, more: Sequence[Check]) -> Verdict:
    """A champion that cannot be compared: for a person to look at, unless the policy says what it means."""
    if policy.champion_unusable == "first_release":
        why = Check(
            why.name, Found.WARNED, f"{why.message}; judged as a first release", why.observed, why.limit, n=why.n
        )
    checks = _alone(sample, policy, rules, {})
    ordered = [why, *checks] if why.outcome is Found.INCONCLUSIVE else [*checks, why]
    return concluded([*ordered, *more], metrics=_measured_alone(sample, rules))


def _enough(sample: Sample, policy: Policy) -> Iterator[Check]:
    """Ask whether there is evidence to speak of; whatever the intervals say, too few clusters conclude nothing."""
    units = [("test rows", sample.n, policy.min_rows)]
    if sample.n_clusters is not None:
        units = [("clusters", sample.n_clusters, policy.min_clusters), *units]
    for name, count, least in units:
        outcome = Found.PASSED if count >= least else Found.INCONCLUSIVE
        words = f"{count:,}" if count >= least else f"{count:,} are too few to conclude anything"
        yield Check(name, outcome, f"{words}; {least} are needed", count, least, n=sample.n)


def _can_be_measured(sample: Sample) -> bool:
    return sample.n >= 2 and (sample.n_clusters is None or sample.n_clusters >= 2)


def _measured(sample: Sample, rules: Rules) -> tuple[dict[str, Measured], list[Check]]:
    """Measure each metric of both models; what cannot be measured becomes a check of its own."""
    found, problems = {}, []
    for name, rule in rules.metrics.items():
        try:
            ours = sample.estimate(name)
        except ValueError as error:
            problems.append(_unmeasurable(sample, name, error))
            continue
        try:
            gain = sample.gain(name)
            theirs = sample.champions(rule.metric, ours.value, gain.value)
            found[name] = Measured(ours, theirs, gain, rule.margin_at(theirs) if rule.compared else rule.margin)
        except ValueError as error:
            problems.append(Check(f"champion {name}", Found.INCONCLUSIVE, f"cannot be compared: {error}", n=sample.n))
            found[name] = Measured(ours)
    return found, problems


def _unmeasurable(sample: Sample, name: str, error: ValueError) -> Check:
    if why := sample.measurable(name):
        raise BadInput(f"test set: {why}") from error
    return Check(f"challenger {name}", Found.REJECTED, f"cannot be measured: {error}", n=sample.n)


def _measured_alone(sample: Sample, rules: Rules) -> dict[str, Measured]:
    if not _can_be_measured(sample):
        return {}
    found = {}
    for name in rules.metrics:
        try:
            found[name] = Measured(sample.estimate(name))
        except ValueError:
            continue
    return found


def _contests(
    sample: Sample, found: Mapping[str, Measured], policy: Policy, rules: Rules, risk: Risk
) -> Iterator[Check]:
    """The primary metric must be better if the policy says so; no compared metric may be worse."""
    for rule in rules.compared:
        measured = found.get(rule.metric.name)
        if measured is None or measured.gain is None:
            continue
        if rule.metric.name == rules.primary and policy.promote == "superior":
            check = contest.better(rule, measured, policy.min_gain, risk)
        else:
            check = contest.not_worse(rule, measured, risk)
        yield replace(check, extra={**check.extra, "disagreement": sample.disagreement})


def _lately(sample: Sample, lately: Sample, policy: Policy, rules: Rules, risk: Risk) -> Iterator[Check]:
    if lately is not sample and _can_be_measured(lately):
        yield from since.held(lately, policy, rules, risk)


def _without_evidence(check: Check, *, evidence: bool) -> Check:
    """Too few clusters: the figures are shown, but decide nothing."""
    if evidence:
        return check
    message = f"too few rows or clusters to conclude: {check.message}"
    return replace(check, outcome=Found.INCONCLUSIVE, message=message)


def _slice_checks(found: Sequence[SliceFound], policy: Policy) -> Iterator[Check]:
    if policy.slices.columns == []:
        yield Check("slices", Found.SKIPPED, "the policy breaks down by no column")
    yield from (item.check for item in found)


def _alone(
    sample: Sample, policy: Policy, rules: Rules, found: Mapping[str, Measured], *, evidence: bool | None = None
) -> list[Check]:
    """Judge the challenger by itself: floors, skill, calibration; without a champion also the evidence."""
    checks: list[Check] = []
    if evidence is None:
        enough = list(_enough(sample, policy))
        evidence = all(check.outcome is Found.PASSED for check in enough)
        checks += enough if not evidence else []
    if not _can_be_measured(sample):
        return checks
    checks += _floors(sample, rules, found)
    checks += [_without_evidence(check, evidence=evidence) for check in _skill(sample, policy, rules, found)]
    checks += _calibration(sample, policy)
    return sorted(checks, key=lambda check: check.name != "skill" and check.outcome is Found.PASSED)


def _floors(sample: Sample, rules: Rules, found: Mapping[str, Measured]) -> Iterator[Check]:
    for name, rule in rules.metrics.items():
        if rule.floor is None:
            continue
        try:
            measured = found[name].challenger if name in found else sample.estimate(name)
        except ValueError as error:
            yield _unmeasurable(sample, name, error)
        else:
            yield contest.floor(rule, measured)


def _skill(sample: Sample, policy: Policy, rules: Rules, found: Mapping[str, Measured]) -> Iterator[Check]:
    rule, name = rules.metrics[rules.primary], rules.primary
    try:
        ours = found[name].challenger if name in found else sample.estimate(name)
        gain, constant = sample.against_constant(rule.metric, ours)
    except ValueError as error:
        yield _unmeasurable(sample, name, error)
    else:
        yield contest.skill(rule, gain, constant, Risk(_ALPHA, policy.power))


def _calibration(sample: Sample, policy: Policy) -> Iterator[Check]:
    """Tell the expected calibration error; judge it, less what chance puts there, where the policy limits it."""
    answers: Any = sample.challenger
    if sample.task not in {Task.BINARY, Task.MULTICLASS} or answers.min() < 0 or answers.max() > 1:
        return
    truth, limit, bins = sample.y, policy.calibration.max_ece, policy.calibration.bins
    if sample.task is Task.MULTICLASS:
        truth, answers = (answers.argmax(axis=1) == truth).astype(np.float64), answers.max(axis=1)
    error = stats.expected_calibration_error(truth, answers, bins=bins)
    surely = stats.debiased_calibration_error(truth, answers, bins=bins)
    outcome = Found.REJECTED if limit is not None and surely > limit else Found.PASSED
    message = f"expected calibration error {error:.3g}; root mean square, less what chance explains, {surely:.3g}"
    yield Check("calibration", outcome, message, surely, limit, n=sample.n, extra={"kind": "calibration", "ece": error})
