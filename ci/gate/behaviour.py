"""
Behaviour: what the model must do whatever its metrics say.

Source of the three kinds: Ribeiro, Wu, Guestrin & Singh (2020), CheckList: invariance, directional expectation, minimum
functionality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Type
from ci.errors import BadInput
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from ci.model.bundles import Bundle
    from ci.params_gate import Behaviour, GoldenRow, Invariance, Monotonicity

_SEED = 20_200_704


def checks(
    bundle: Bundle, frame: pd.DataFrame, wanted: Behaviour, classes: Sequence[str] | None = None
) -> Iterator[Check]:
    """
    Try a bundle on altered test rows; `classes` names the columns of its answers where there are several.

    Raises:
        BadInput: a column is not an input of the model, a class is none of its classes, or a value does not fit it.
    """
    for item in wanted.invariances:
        yield _invariance(bundle, frame, item)
    for rule in wanted.monotonicities:
        yield _monotonicity(bundle, frame, rule, classes)
    for place, golden in enumerate(wanted.golden):
        yield _golden(bundle, golden, place, classes)


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


def _monotonicity(bundle: Bundle, frame: pd.DataFrame, item: Monotonicity, classes: Sequence[str] | None) -> Check:
    _input(bundle, "monotonicities", item.column)
    if item.column not in bundle.of_type(Type.NUMBER, Type.INTEGER):
        raise BadInput(f"gate.behaviour.monotonicities: {item.column} is not a number")
    meant = _place("monotonicities", item.of, classes)
    few = _some(frame[frame[item.column].notna()], item.rows)
    raised = few.assign(**{item.column: few[item.column].astype("float64") + item.step})
    before, after = (_meant(bundle.score(rows), meant) for rows in (few, raised))
    change = (after - before) * (1 if item.direction == "up" else -1)
    right = float((change >= -item.tolerance).mean()) if len(few) else 0.0
    whose = f"the probability of {item.of} goes" if item.of else "answers go"
    rises = f"when {item.column} rises by {item.step:g}"
    share = f"{right:.1%} of rows, {item.share:.1%} must"
    message = f"{whose} {item.direction} or stay{'s' if item.of else ''} {rises} in {share}"
    name = f"monotone {item.column}" + (f" of {item.of}" if item.of else "")
    return _shared(name, message, right, item, np.where(np.isfinite(change), -change, np.inf))


def _golden(bundle: Bundle, item: GoldenRow, place: int, classes: Sequence[str] | None) -> Check:
    for name in item.row:
        _input(bundle, "golden", name)
    meant, first = (_place("golden", name, classes) for name in (item.of, item.first_choice))
    found = bundle.score(bundle.frame([{**bundle.example(), **item.row}]))[0]
    sound = bool(np.isfinite(found).all())  # NaN is the largest of nothing, and in no interval
    answer = float(_meant(found, first if meant is None else meant))
    low = -np.inf if item.at_least is None else item.at_least
    high = np.inf if item.at_most is None else item.at_most
    limit = item.at_least if answer < low or item.at_most is None else item.at_most
    chosen = sound and (first is None or int(found.argmax()) == first)
    outcome = Found.PASSED if sound and low <= answer <= high and chosen else Found.REJECTED
    message = f"answers {_spelt(answer, item, found, classes)} to a case that everybody knows ({item.because})"
    return Check(f"golden row {place + 1}", outcome, message, answer, limit, n=1, extra={"kind": "behaviour"})


def _spelt(answer: float, item: GoldenRow, found: Any, classes: Sequence[str] | None) -> str:
    """Spell one answer; of several classes, the one that was asked about and the likeliest."""
    if classes is None or np.ndim(found) == 0:
        return f"{answer:.4g}"
    likeliest = classes[int(np.argmax(found))]
    asked = item.of or item.first_choice
    return f"{asked} with {answer:.4g}" + ("" if likeliest == asked else f" and chooses {likeliest}")


def _place(where: str, wanted: str | None, classes: Sequence[str] | None) -> int | None:
    """Find a class among those that the answers have columns for."""
    if wanted is None:
        return None
    if classes is None or wanted not in classes:
        raise BadInput(f"gate.behaviour.{where}: the model has no class {wanted}", hint=", ".join(classes or ()))
    return list(classes).index(wanted)


def _meant(answers: Any, column: int | None) -> Any:
    """Answers (…,) of one class out of (…, n_classes); where there is one answer, that."""
    return answers if column is None else answers[..., column]


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
