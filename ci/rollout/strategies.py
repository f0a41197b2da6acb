"""A strategy as a list of stages; all of them are carried out by the same few lines (`ci.rollout.engine`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.rollout.state import Stage

if TYPE_CHECKING:
    from ci.params_environments import Strategy


def spent_by(number: int) -> float:
    """
    Return the part of alpha that a rollout's question `number` (from 1) may spend: 1/2, 1/6, 1/12, …

    However many stages there are and however often one is asked again, the parts never add up to more than 1.
    """
    return 1 / (number * (number + 1))


def stages(strategy: Strategy, instances: int, *, first: bool) -> list[Stage]:
    """
    Plan how traffic moves; `first` when nothing is live, so that there is nothing to move it from.

    What earlier stages have shown is not asked again at full weight, where there is nothing left to compare with.
    """
    n = instances
    whole = Stage(weight=100, candidate=n, baseline=0 if first else n)
    if first:
        return [whole]
    match strategy.kind:
        case "rolling":
            return [
                Stage(weight=100 * k / n, candidate=k, baseline=n - k, ask=k < n or n == 1) for k in range(1, n + 1)
            ]
        case "canary":
            steps = [Stage(weight=s.weight, pause_s=s.pause_s, candidate=n, baseline=n) for s in strategy.steps]
            return steps if steps[-1].weight == 100 else [*steps, whole.model_copy(update={"ask": False})]
        case "ab":
            return [Stage(weight=strategy.share, candidate=n, baseline=n, stays=True)]
        case "shadow":
            return [Stage(weight=0, mirror=strategy.share, candidate=n, baseline=n, stays=True)]
        case _:
            return [whole]
