"""What moved, as a report says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import Outcome
from ci.report import Result
from ci.rollout.strategies import stages

if TYPE_CHECKING:
    from ci.params_environments import Environment, Strategy
    from ci.releases.record import Release
    from ci.rollout.interface import Actual, Moved

_HINTS = {
    Outcome.INCONCLUSIVE: "deploy it again to go on, or end it with python -m steps.abort",
    Outcome.NOT_RESTORED: "call somebody: what runs is not what should run",
}


def told(moved: Moved, actual: Actual) -> Result:
    """Turn a movement into a result."""
    facts = {"live": moved.live, "former": moved.former, "door": actual.door}
    data = {"live": moved.live, "former": moved.former, "weights": dict(actual.weights), "door": actual.door,
            "evidence": dict(moved.evidence)}  # fmt: skip
    hint = _HINTS.get(moved.outcome, "")
    return Result(moved.message, moved.outcome, hint, checks=moved.checks, facts=facts, data=data)


def planned(release: Release, strategy: Strategy, environment: Environment, actual: Actual) -> Result:
    """Say what a rollout would do; nothing is changed."""
    plan = stages(strategy, environment.instances, first=actual.live is None)
    weights = [f"{stage.weight:g} %" + (f" (copies of {stage.mirror:g} %)" if stage.mirror else "") for stage in plan]
    held = f"; held by {actual.held_by}" if actual.held_by else ""
    message = f"would take {release.name} into {environment.name} by {strategy.kind}: {', '.join(weights)}{held}"
    return Result(message, facts={"live": actual.live, "bundle": release.bundle}, data={"stages": weights})
