"""Holding rows to the contract: columns, types, and values (through pandera), with samples of what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Role, Task, Type
from ci.data import rows
from ci.report import Check, Found
from ci.templating import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from pandera.pandas import DataFrameSchema

    from ci.contract import Column, Contract

MAX_SAMPLES = 20
_SHOWN = 5
_MANY = 1000
_PANDERA = {"not_nullable": "not missing"}
_WORDS = {"finite": "is infinite", "known category": "is none of its categories", "not missing": "is missing"}


@dataclass
class Values:
    """Collects, period by period, what breaks the contract."""

    contract: Contract
    max_violations: float
    n_rows: int = 0
    broken: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    retyped: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    undeclared: dict[str, str] = field(default_factory=dict)
    schemas: dict[tuple[str, ...], DataFrameSchema] = field(default_factory=dict)

    def add(self, period: str, frame: pd.DataFrame) -> None:
        """Look at the rows of one period."""
        self.n_rows += len(frame)
        sound = []
        for name, column in self.contract.columns.items():
            if name not in frame:
                self.absent.setdefault(name, []).append(period)
            elif len(frame) and not frame[name].isna().all() and not rows.fits(frame[name], column):
                self.retyped.setdefault((name, rows.type_of(frame[name])), []).append(period)
            else:
                sound.append(name)
        for name in frame.columns.difference(list(self.contract.columns)):
            self.undeclared.setdefault(str(name), period)
        self._values(period, frame[sound])

    def checks(self) -> Iterator[Check]:
        """Yield what was found: one check per broken rule, or one for all if none is."""
        yield from self._schema_checks()
        for (name, rule), periods in self.broken.items():
            share = sum(periods.values()) / self.n_rows
            tolerated = share <= self.max_violations
            yield Check(
                f"contract {name} {rule}",
                Found.WARNED if tolerated else Found.REJECTED,
                self._sentence(name, rule, periods),
                observed=share,
                limit=self.max_violations,
                n=self.n_rows,
                extra={"samples": self.samples[name, rule], "rows": self.rows[name, rule], "periods": dict(periods)},
            )
        if not self.broken:
            yield Check("contract values", Found.PASSED, f"{len(self.contract.columns)} columns hold", n=self.n_rows)

    def _sentence(self, name: str, rule: str, periods: Counter[str]) -> str:
        """Say what is wrong, in how many rows, since when, and with what for example."""
        where = f"in {sum(periods.values()):,} of {self.n_rows:,} rows, first in {next(iter(periods))}"
        such = f", such as {', '.join(self.samples[name, rule][:_SHOWN])}" if rule != "not missing" else ""
        return f"{name} {_fact(rule)} {where}{such}"

    def _schema_checks(self) -> Iterator[Check]:
        for name, periods in self.absent.items():
            yield Check(f"contract {name}", Found.REJECTED, f"{name} is missing since {periods[0]}", "missing")
        for (name, found), periods in self.retyped.items():
            wanted = self.contract.columns[name].type.value
            message = f"{name} is a {found} since {periods[0]}, the contract says {wanted}"
            yield Check(f"contract {name}", Found.REJECTED, message, str(found), wanted)
        if self.undeclared:
            shown, first = ", ".join(list(self.undeclared)[:10]), next(iter(self.undeclared.values()))
            message = f"{len(self.undeclared)} not in the contract, first in {first}: {shown}"
            yield Check("undeclared columns", Found.WARNED, message, len(self.undeclared), 0)

    @cached_property
    def _schema(self) -> DataFrameSchema:
        import pandera.pandas as pa

        return pa.DataFrameSchema({name: _column(column) for name, column in self.contract.columns.items()})

    def _values(self, period: str, frame: pd.DataFrame) -> None:
        """Let pandera say what is wrong, but only where something may be: on sound columns it takes its time, too."""
        columns = self.contract.columns
        doubted = tuple(name for name in columns if name in frame and not surely_sound(frame[name], columns[name]))
        if doubted:
            self._doubted(period, frame, doubted)

    def _doubted(self, period: str, frame: pd.DataFrame, names: tuple[str, ...]) -> None:
        from pandera.errors import SchemaErrors

        if names not in self.schemas:
            self.schemas[names] = self._schema.select_columns(list(names))
        try:
            self.schemas[names].validate(frame[list(names)], lazy=True)
        except SchemaErrors as errors:
            for (name, check), found in errors.failure_cases.groupby(["column", "check"], sort=False):
                key = (str(name), _PANDERA.get(str(check), str(check)))
                self.broken.setdefault(key, Counter())[period] += len(found)
                kept = self.samples.setdefault(key, [])
                kept += [shown(case) for case in found["failure_case"].head(MAX_SAMPLES - len(kept))]
                self._rows(key, frame, found["index"].dropna().tolist())

    def _rows(self, key: tuple[str, str], frame: pd.DataFrame, places: list[Any]) -> None:
        """Keep a few rows, `id 17, age -1`: by what names them, so that whoever delivered them finds them again."""
        named = [name for name in (*self.contract.keys, self.contract.event_time) if name and name != key[0]]
        kept = self.rows.setdefault(key, [])
        for place in places[: _SHOWN - len(kept)]:
            row = frame.loc[place]
            names = [name for name in [*dict.fromkeys(named), key[0]] if name in frame]
            kept.append(", ".join(f"{name} {plainly(row[name])}" for name in names))


@dataclass
class Target:
    """Collects, period by period, whether the target is something that can be learned."""

    contract: Contract
    n_rows: int = 0
    n_known: int = 0
    found: set[Any] = field(default_factory=set)

    def add(self, target: pd.Series[Any]) -> None:
        """Look at the targets of one period; of very many distinct values only the first are remembered."""
        known = target.dropna()
        self.n_rows, self.n_known = self.n_rows + len(target), self.n_known + len(known)
        values = set(known.unique().tolist())
        self.found |= values if len(self.found) < _MANY else values & {self.contract.positive}

    def checks(self) -> Iterator[Check]:
        """Yield the one check, if there was a target column at all."""
        if not self.n_rows:
            return
        name, distinct = f"target {self.contract.target}", len(self.found)
        fault = self._fault()
        if fault:
            yield Check(name, Found.REJECTED, fault, distinct, 2, n=self.n_known)
            return
        count = f"{distinct:,}" if distinct < _MANY else "many"
        message = f"{count} values; {self.n_rows - self.n_known:,} rows without one"
        yield Check(name, Found.PASSED, message, distinct, 2, n=self.n_known)

    def _fault(self) -> str:
        contract, name = self.contract, self.contract.target
        if not self.found:
            return f"no row has a known {name}"
        if len(self.found) < 2:
            return f"{name} is always {shown(next(iter(self.found)))}: there is nothing to learn"
        if contract.positive is not None:
            return (
                ""
                if contract.positive in self.found
                else f"{name} is never {contract.positive!r}, which counts as true"
            )
        odd = sorted(map(shown, self.found - {0, 1})) if contract.task in {Task.BINARY, Task.RANKING} else []
        return f"{name} is neither 0 nor 1 in some rows, such as {', '.join(odd[:_SHOWN])}" if odd else ""


def surely_sound(series: pd.Series[Any], column: Column) -> bool:
    """Say whether a column keeps its contract beyond doubt: seen from its extremes and distinct values alone."""
    known = series.dropna()
    if not rows.fits(series, column) or (len(known) < len(series) and not _may_be_missing(column)):
        return False
    if column.type is Type.STRING:
        return series.dtype == "str" and _texts_hold(set(known.unique()), column)
    if column.type in {Type.NUMBER, Type.INTEGER} and len(known):
        low, high = known.min(), known.max()
        above = column.minimum is None or low >= column.minimum
        below = column.maximum is None or high <= column.maximum
        return bool(above and below and np.isfinite(float(low)) and np.isfinite(float(high)))
    return True


def _texts_hold(values: set[str], column: Column) -> bool:
    if column.categories is not None and column.unknown == "reject" and not values <= set(column.categories):
        return False
    return max(map(len, values), default=0) <= column.max_length


def _may_be_missing(column: Column) -> bool:
    return column.nullable or column.role is Role.TARGET


def shown(value: Any) -> str:
    """Spell a value from the data, short enough for a sentence."""
    return repr(value.item() if hasattr(value, "item") else value)[:80]


def plainly(value: Any) -> str:
    """Spell a value of a row as a person would write it."""
    import pandas as pd

    if pd.isna(value):
        return "missing"
    return str(value.isoformat() if hasattr(value, "isoformat") else value)[:80]


def _fact(rule: str) -> str:
    """Turn a rule into what is the matter where it is broken."""
    if rule.endswith("characters"):
        return rule.replace("at most", "is longer than")
    return _WORDS.get(rule, rule.replace("at least", "is below").replace("at most", "is above"))


def _column(column: Column) -> Any:
    import pandera.pandas as pa

    checks = []
    if column.type in {Type.NUMBER, Type.INTEGER}:
        checks.append(pa.Check(_finite, name="finite"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error=f"at least {number(column.minimum)}"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error=f"at most {number(column.maximum)}"))
    if column.categories is not None and column.unknown == "reject":
        checks.append(pa.Check.isin(column.categories, error="known category"))
    if column.type is Type.STRING:
        checks.append(pa.Check.str_length(0, column.max_length, error=f"at most {column.max_length} characters"))
    return pa.Column(nullable=_may_be_missing(column), checks=checks)


def _finite(series: pd.Series[Any]) -> Any:
    return series.isna() | ~np.isinf(series.astype("float64"))
