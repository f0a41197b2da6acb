"""What is to be predicted: the task, the target's type, and which value counts as true."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Column, Role, Task, Type
from ci.errors import BadInput
from ci.scaffold.columns import Guess
from ci.scaffold.dates import moments
from ci.scaffold.fixes import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from ci.scaffold.fixes import Fix
    from ci.scaffold.reading import Sheet
    from ci.scaffold.wish import Wish

FEWEST_ROWS = 50
_MOST_CLASSES = 50
_MOST_CODES = 10
_RARE = 10
_FEWEST_OF_A_VALUE = 4  # two to judge by, and some to learn from
_TRUE = (
    "yes",
    "y",
    "true",
    "t",
    "positive",
    "pos",
    "ja",
    "j",
    "oui",
    "sí",
    "si",
    "sim",
    "tak",
    "да",
    "はい",
    "是",
)


@dataclass(frozen=True, slots=True)
class Aim:
    """The task, and the target as a column of the contract."""

    task: Task
    guess: Guess
    positive: str | None = None


def aim(sheet: Sheet, wish: Wish) -> Aim:
    """
    Find out what kind of prediction the target allows.

    Raises:
        BadInput: the target is empty, constant, has too few rows, or does not suit `--task` or `--positive`.
    """
    series, kind = sheet.frame[wish.target], sheet.kinds.get(wish.target, "text")
    known = series.dropna()
    where = f"target {wish.target}"
    if known.empty:
        raise BadInput(f"{where}: no row has a value")
    if (known == known.iloc[0]).all():
        raise BadInput(f"{where}: constant, always {str(known.iloc[0])[:60]!r}")
    if len(known) < FEWEST_ROWS:
        raise BadInput(
            f"{where}: {len(known)} rows have a value; {FEWEST_ROWS} are the least to learn from and to judge by"
        )
    fix = numbers(series) if kind == "text" else None
    task, why = (wish.wanted_task, "as asked") if wish.wanted_task else _task(where, series, kind, fix)
    if task in {Task.BINARY, Task.RANKING} and (fewest := int(known.value_counts().min())) < _FEWEST_OF_A_VALUE:
        raise BadInput(f"{where}: one of its values is in {fewest} rows only; {_FEWEST_OF_A_VALUE} are the least")
    if wish.positive is not None and task is not Task.BINARY:
        raise BadInput(f"--positive: a {task} target has no value that counts as true")
    make = {Task.BINARY: _binary, Task.MULTICLASS: _classes, Task.REGRESSION: _quantity, Task.RANKING: _relevance}[task]
    column, positive, used = make(where, series, kind, fix, wish.positive)
    nullable = bool((used.read if used else series).isna().any())
    column = column.model_copy(update={"role": Role.TARGET, "nullable": nullable})
    guess = Guess(wish.target, column, f"{task}: {why}", _seen(known), _rare(known, task), used)
    return Aim(task, guess, positive)


_Made = tuple[Column, str | None, "Fix | None"]


def _task(where: str, series: pd.Series[Any], kind: str, fix: Fix | None) -> tuple[Task, str]:
    known = series.dropna()
    distinct = known.nunique()
    if moments(str(series.name), series, kind):
        raise BadInput(
            f"{where}: holds dates; predict a number of days instead", hint="derive it in source.py's assemble"
        )
    if distinct == 2 and (kind != "number" or _whole(known)):
        return Task.BINARY, "it has two values"
    whole = kind in {"integer", "number"} and _whole(known)
    if fix is not None or (kind == "number" and not whole):
        return Task.REGRESSION, "it is a number"
    if whole and (distinct > _MOST_CODES or len(known) < 20 * distinct):
        return Task.REGRESSION, f"it is a number with {distinct:,} values"
    if distinct > _MOST_CLASSES or len(known) < 4 * distinct:
        raise BadInput(f"{where}: {distinct:,} different texts in {len(known):,} rows are too many for classes")
    return Task.MULTICLASS, f"it has {distinct} values"


def _binary(where: str, series: pd.Series[Any], kind: str, _fix: Fix | None, positive: str | None) -> _Made:
    known = series.dropna()
    if known.nunique() != 2:
        raise BadInput(
            f"{where}: {known.nunique():,} values; a binary target has two", hint="--task multiclass or regression"
        )
    flags = kind == "boolean" or set(known.unique()) == {0, 1}
    if flags and (positive is None or positive.casefold() in {"1", "true"}):
        return Column(type=Type.BOOLEAN), None, None
    if kind == "boolean":
        raise BadInput(
            f"--positive: {where} is true or false, and true counts as positive", hint="turn it round in source.py"
        )
    values = _texts(where, known, kind)
    chosen = _positive(values, known) if positive is None else _named(positive, values)
    return Column(type=Type.STRING, categories=values, unknown="reject"), chosen, None


def _classes(where: str, series: pd.Series[Any], kind: str, _fix: Fix | None, _positive: str | None) -> _Made:
    known = series.dropna()
    if kind == "boolean":
        raise BadInput(f"{where}: true or false is a binary target, not a multiclass one")
    values = _texts(where, known, kind)
    if len(values) > 1000:
        raise BadInput(f"{where}: {len(values):,} classes, at most 1,000 are modelled")
    return Column(type=Type.STRING, categories=values, unknown="reject"), None, None


def _quantity(where: str, series: pd.Series[Any], kind: str, fix: Fix | None, _positive: str | None) -> _Made:
    if kind not in {"integer", "number"} and fix is None:
        raise BadInput(f"{where}: {kind}, not a number, such as {series.dropna().iloc[0]!r}")
    values = (fix.read if fix else series).astype("float64")
    if np.isinf(values).any():
        raise BadInput(f"{where}: {int(np.isinf(values).sum()):,} values are infinite")
    return Column(type=Type.NUMBER), None, fix


def _relevance(where: str, series: pd.Series[Any], kind: str, _fix: Fix | None, _positive: str | None) -> _Made:
    if kind != "boolean" and set(series.dropna().unique()) != {0, 1}:
        raise BadInput(f"{where}: ranking needs true and false, or 0 and 1, such as clicked or not")
    return Column(type=Type.BOOLEAN), None, None


def _texts(where: str, known: pd.Series[Any], kind: str) -> list[str]:
    """Spell the values as `ingest` will: whole numbers become text, others cannot."""
    if kind in {"integer", "number"}:
        if not _whole(known):
            raise BadInput(f"{where}: numbers such as {known.iloc[0]:g} are no classes", hint="--task regression")
        known = known.astype("int64")
    return sorted({str(value) for value in known.unique()})


def _whole(known: pd.Series[Any]) -> bool:
    return bool((known.astype("float64") % 1 == 0).all())


def _positive(values: Sequence[str], known: pd.Series[Any]) -> str:
    """Take the word that means yes, else the larger number, else the rarer value."""
    for value in values:
        if value.strip().casefold() in _TRUE:
            return value
    if all(value.lstrip("-").isdecimal() for value in values):
        return max(values, key=int)
    return str(known.astype(str).value_counts().index[-1])


def _named(positive: str, values: Sequence[str]) -> str:
    if positive in values:
        return positive
    near = difflib.get_close_matches(positive, values, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its values: {', '.join(values)}"
    raise BadInput(f"--positive: the target is never {positive!r}", hint=hint)


def _seen(known: pd.Series[Any]) -> str:
    counts = known.value_counts()
    if len(counts) > _MOST_CODES:
        return f"{len(counts):,} values"
    return ", ".join(f"{str(value)[:40]} {count:,}" for value, count in counts.items())


def _rare(known: pd.Series[Any], task: Task) -> str:
    if task is Task.REGRESSION:
        return ""
    counts = known.value_counts()
    rare = [f"{str(value)[:40]!r} {count}" for value, count in counts.items() if count < _RARE]
    return f"few rows to learn from: {', '.join(rare[:5])}" if rare else ""
