"""What was lost since the anchor: the same question as to the champion, with margins of its own (ADR 0015)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ci.gate import contest
from ci.gate.verdict import Measured
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.gate.contest import Risk
    from ci.gate.rules import Rules
    from ci.gate.sample import Sample
    from ci.params_gate import Policy

_KIND = {"kind": "anchor"}


def held(sample: Sample, policy: Policy, rules: Rules, risk: Risk) -> Iterator[Check]:
    """Ask of each compared metric whether less than the allowed margins was lost since `sample.champion`, the anchor."""
    if policy.anchor_margins is None or sample.champion is None:
        return
    if bad := int((~np.isfinite(sample.champion)).sum()):
        message = f"{bad:,} of {sample.champion.size:,} answers of the anchor are NaN or infinite"
        yield Check("anchor", Found.INCONCLUSIVE, message, bad, 0, n=sample.n, extra=_KIND)
        return
    for rule in rules.compared:
        try:
            ours, gain = sample.estimate(rule.metric.name), sample.gain(rule.metric.name)
            theirs = sample.champions(rule.metric, ours.value, gain.value)
            margin = policy.anchor_margins * rule.margin_at(theirs)
        except ValueError as error:
            message = f"cannot be compared: {error}"
            yield Check(f"anchor {rule.metric.name}", Found.INCONCLUSIVE, message, n=sample.n, extra=_KIND)
            continue
        check = contest.not_worse(rule, Measured(ours, theirs, gain, margin), risk)
        extra = {**check.extra, **_KIND, "disagreement": sample.disagreement}
        yield replace(
            check, name=f"anchor {rule.metric.name}", message=f"since the anchor: {check.message}", extra=extra
        )


def beaten(sample: Sample, rules: Rules, risk: Risk) -> bool:
    """Whether the challenger is shown to be better than `sample.champion` in the primary metric."""
    if sample.champion is None or not np.isfinite(sample.champion).all():
        return False
    try:
        return sample.gain(rules.primary).lower(1 - risk.alpha) > 0
    except ValueError:
        return False
