"""
Behaviour: what the model must do whatever its metrics say.

Source of the three kinds: Ribeiro, Wu, Guestrin & Singh (2020), CheckList: invariance, directional expectation, minimum
functionality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Task, Type
from ci.errors import BadInput
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ci.model.bundles import Bundle
    from ci.params_gate import Behaviour, GoldenRow, Invariance, Monotonicity

_SEED = 20_200_704


def checks(bundle: Bundle, frame: pd.DataFrame, wanted: Behaviour) -> Iterator[Check]:
    """
    Try a bundle on altered test rows.

    Raises:
        BadInput: a column is not an input of the model, or a value does not fit it.
    """
    for item in wanted.invariances:
        yield _invariance(bundle, frame, item)
    for rule in wanted.monotonicities:
        yield _monotonicity(bundle, frame, rule)
    for place, golden in enumerate(wanted.golden):
        yield _golden(bundle, golden, place)


def _invariance(bundle: Bundle, frame: pd.DataFrame, item: Invariance) -> Check:
    _input(bundle, "invariances", item.column)
    few = _some(frame, item.rows)
    before, most = bundle.score(few), np.zeros(len(few))
    for altered in _altered(bundle, few, item):
        most = np.maximum(most, _moved(bundle.score(altered), before))
    still = float((most <= item.tolerance).mean())
    message = f"{still:.1%} of answers stay within {item.tolerance:g} when {item.column} changes, {item.share:.1%} must"
    return _shared(f"invariance {item.column}", message, still, item, most)


def _altered(bundle: Bundle, few: pd.DataFrame, item: Invariance) -> Iterator[pd.DataFrame]:
    if item.to is None:
        shuffled = few[item.column].sample(frac=1, random_state=_SEED).to_numpy()
        yield few.assign(**{item.column: shuffled})
        return
    for value in item.to:
        made = bundle.frame([{**bundle.example(), item.column: value}])[item.column]
        yield few.assign(**{item.column: np.repeat(made.to_numpy(), len(few))})


def _monotonicity(bundle: Bundle, frame: pd.DataFrame, item: Monotonicity) -> Check:
    _input(bundle, "monotonicities", item.column)
    if bundle.task is Task.MULTICLASS:
        raise BadInput("gate.behaviour.monotonicities: several classes have no up and down")
    if item.column not in bundle.of_type(Type.NUMBER, Type.INTEGER):
        raise BadInput(f"gate.behaviour.monotonicities: {item.column} is not a number")
    few = _some(frame[frame[item.column].notna()], item.rows)
    raised = few.assign(**{item.column: few[item.column].astype("float64") + item.step})
    change = (bundle.score(raised) - bundle.score(few)) * (1 if item.direction == "up" else -1)
    right = float((change >= -item.tolerance).mean()) if len(few) else 0.0
    rises = f"when {item.column} rises by {item.step:g}"
    message = f"{right:.1%} of answers go {item.direction} or stay {rises}, {item.share:.1%} must"
    return _shared(f"monotone {item.column}", message, right, item, -change)


def _golden(bundle: Bundle, item: GoldenRow, place: int) -> Check:
    for name in item.row:
        _input(bundle, "golden", name)
    if bundle.task is Task.MULTICLASS:
        raise BadInput("gate.behaviour.golden: a row of several classes has no single answer")
    answer = float(bundle.score(bundle.frame([{**bundle.example(), **item.row}]))[0])
    low = -np.inf if item.at_least is None else item.at_least
    high = np.inf if item.at_most is None else item.at_most
    limit = item.at_least if answer < low or item.at_most is None else item.at_most
    outcome = Found.PASSED if low <= answer <= high else Found.REJECTED  # NaN is in no interval
    message = f"answers {answer:.4g} to a case that everybody knows ({item.because})"
    return Check(f"golden row {place + 1}", outcome, message, answer, limit, n=1, extra={"kind": "behaviour"})


def _shared(name: str, message: str, share: float, item: Invariance | Monotonicity, wrong: Any) -> Check:
    """Hold the share of answers that behave against the least; `wrong` (n_rows,) is how far each went astray."""
    if len(wrong) == 0:
        return Check(name, Found.INCONCLUSIVE, "no test row to try it on", None, item.share, n=0)
    outcome = Found.PASSED if share >= item.share else Found.REJECTED
    extra = {"kind": "behaviour", "largest": float(wrong.max())}
    return Check(name, outcome, message, share, item.share, n=len(wrong), extra=extra)


def _moved(after: Any, before: Any) -> Any:
    """Distance of answers (n_rows,); a NaN is as far as can be."""
    apart = np.abs(after - before)
    apart = apart.max(axis=1) if apart.ndim == 2 else apart
    return np.where(np.isfinite(apart), apart, np.inf)


def _some(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    return frame.sample(min(count, len(frame)), random_state=_SEED)


def _input(bundle: Bundle, where: str, column: str) -> None:
    if column not in bundle.inputs:
        raise BadInput(f"gate.behaviour.{where}: the model has no input {column}", hint=", ".join(bundle.inputs))
