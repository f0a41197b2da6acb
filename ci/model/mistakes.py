"""How often a model is plainly wrong on its test set: what its answers in production are held against once labels come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ci import stats
from ci.contract import Task

if TYPE_CHECKING:
    from ci.model.evaluate import Scored

TYPICAL = 0.9  # a regression is wrong where its error is larger than nine of ten were here


def wrong(scored: Scored, *, level: float, threshold: float) -> dict[str, Any]:
    """
    Return the share of wrong answers with its interval, over clusters where the contract names one.

    Wrong: another class than the label's (binary: at `threshold`), or an absolute error above `tolerance`, which is the
    ninth decile of those here, in the target's unit. Empty for a ranking, which has no wrong answers.
    """
    if scored.contract.task is Task.RANKING:
        return {}
    said: dict[str, float] = {}
    if scored.contract.task is Task.REGRESSION:
        errors = np.abs(scored.scores - scored.y)
        said = {"tolerance": float(np.quantile(errors, TYPICAL))}
        right = errors <= said["tolerance"]
    elif scored.contract.task is Task.MULTICLASS:
        right = scored.scores.argmax(axis=1) == scored.y
    else:
        said = {"threshold": threshold}
        right = (scored.scores >= threshold) == (scored.y == 1)
    try:
        found = stats.estimate("accuracy", np.ones(len(right), np.int64), right.astype("float64"),
                               clusters=scored.clusters, level=level)  # fmt: skip
    except ValueError:  # one row, one cluster: how sure it is nobody can say
        return said
    return {"value": 1 - found.value, "low": 1 - found.high, "high": 1 - found.low, "n": found.n, **said}
