"""The audit set: rows that were never used to choose anything, as a last look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ci.gate import contest
from ci.gate.heldout import HeldOut
from ci.gate.rules import resolve
from ci.gate.sample import checked
from ci.gate.verdict import Measured
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.contract import Contract
    from ci.model.bundles import Bundle
    from ci.params_gate import Policy

_ALPHA = 0.05


def audited(
    file: str, contract: Contract, policy: Policy, challenger: Bundle, champion: Bundle | None
) -> Iterator[Check]:
    """
    Hold the challenger to its floors on the audit set, and reject it where it is surely worse than the champion there.

    Raises:
        BadInput: the file is missing, or is not made of rows of this contract.
    """
    rows = HeldOut(Path(file), contract)
    rules, given = resolve(policy, contract.task), rows.given(policy)
    sample = checked(
        rules.task,
        rows.y,
        rows.answers(challenger),
        None if champion is None else rows.answers(champion),
        clusters=given["clusters"],
        weights=given["weights"],
        slices=None,
        policy=policy,
    )
    for name, rule in rules.metrics.items():
        try:
            ours = sample.estimate(name)
            if rule.floor is not None:
                yield _renamed(contest.floor(rule, ours))
            if rule.compared and champion is not None:
                gain = sample.gain(name)
                theirs = sample.champions(rule.metric, ours.value, gain.value)
                found = Measured(ours, theirs, gain, rule.margin_at(theirs))
                yield _vetoes_only(
                    contest.not_worse(rule, found, contest.Risk(_ALPHA, policy.power)), rule.margin_at(theirs)
                )
        except ValueError as error:
            yield Check(f"audit {name}", Found.INCONCLUSIVE, f"cannot be measured: {error}", n=sample.n)


def _vetoes_only(check: Check, margin: float) -> Check:
    """A small audit set may well not show that nothing is lost; what it must not do is show a loss."""
    lost = check.interval is not None and check.interval[1] < -margin
    settled = check.outcome if lost or check.outcome is Found.PASSED else Found.WARNED
    return _renamed(replace(check, outcome=settled))


def _renamed(check: Check) -> Check:
    return replace(check, name=f"audit {check.name}", extra={**check.extra, "kind": "audit"})
