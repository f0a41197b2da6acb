"""Holding rows to the contract: columns, types, and values (through pandera), with samples of what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.contract import Role, Type
from ci.data import rows
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from pandera.pandas import DataFrameSchema

    from ci.contract import Column, Contract

MAX_SAMPLES = 20


@dataclass
class Values:
    """Collects, period by period, what breaks the contract."""

    contract: Contract
    max_violations: float
    n_rows: int = 0
    broken: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    retyped: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    undeclared: dict[str, str] = field(default_factory=dict)

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
            count = sum(periods.values())
            share = count / self.n_rows
            tolerated = share <= self.max_violations
            shown = ", ".join(self.samples[name, rule][:5])
            yield Check(
                f"contract {name} {rule}",
                Found.WARNED if tolerated else Found.REJECTED,
                f"{count:,} of {self.n_rows:,} rows break it, first in {next(iter(periods))}; such as {shown}",
                observed=share,
                limit=self.max_violations,
                n=self.n_rows,
                extra={"samples": self.samples[name, rule], "periods": dict(periods)},
            )
        if not self.broken:
            yield Check("contract values", Found.PASSED, f"{len(self.contract.columns)} columns hold", n=self.n_rows)

    def _schema_checks(self) -> Iterator[Check]:
        for name, periods in self.absent.items():
            yield Check(f"contract {name}", Found.REJECTED, f"column missing since {periods[0]}", "missing")
        for (name, found), periods in self.retyped.items():
            wanted = self.contract.columns[name].type
            yield Check(f"contract {name}", Found.REJECTED, f"is {found} since {periods[0]}, not {wanted}", found, wanted.value)
        if self.undeclared:
            shown = ", ".join(list(self.undeclared)[:10])
            message = f"{len(self.undeclared)} not in the contract: {shown}; first in {next(iter(self.undeclared.values()))}"
            yield Check("undeclared columns", Found.WARNED, message, len(self.undeclared))

    @cached_property
    def _schema(self) -> DataFrameSchema:
        import pandera.pandas as pa

        return pa.DataFrameSchema({name: _column(column) for name, column in self.contract.columns.items()})

    def _values(self, period: str, frame: pd.DataFrame) -> None:
        from pandera.errors import SchemaErrors

        wanted = self._schema.select_columns(list(frame.columns))
        try:
            wanted.validate(frame, lazy=True)
        except SchemaErrors as errors:
            for (name, rule), found in errors.failure_cases.groupby(["column", "check"], sort=False):
                key = (str(name), str(rule))
                self.broken.setdefault(key, Counter())[period] += len(found)
                kept = self.samples.setdefault(key, [])
                kept += [_shown(case) for case in found["failure_case"].head(MAX_SAMPLES - len(kept))]


def target_checks(frame_of_target: pd.Series[Any], contract: Contract) -> Iterator[Check]:
    """Say whether the target, over all periods, is something that can be learned."""
    known = frame_of_target.dropna()
    distinct = known.nunique()
    name = f"target {contract.target}"
    if known.empty:
        yield Check(name, Found.REJECTED, "no row has a known target", 0, 1, n=len(frame_of_target))
    elif distinct < 2:
        yield Check(name, Found.REJECTED, f"constant: always {known.iloc[0]!r}", 1, 2, n=len(known))
    elif contract.positive is not None and not (known == contract.positive).any():
        yield Check(name, Found.REJECTED, f"never {contract.positive!r}, the value that counts as true", 0, 1, n=len(known))
    else:
        missing = len(frame_of_target) - len(known)
        yield Check(name, Found.PASSED, f"{distinct:,} values; {missing:,} rows without one", distinct, 2, n=len(known))


def _column(column: Column) -> Any:
    import pandera.pandas as pa

    checks = []
    if column.type in {Type.NUMBER, Type.INTEGER}:
        checks.append(pa.Check(_finite, name="finite"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, name=f"at least {column.minimum:g}"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, name=f"at most {column.maximum:g}"))
    if column.categories is not None and column.unknown == "reject":
        checks.append(pa.Check.isin(column.categories, name="known category"))
    if column.type is Type.STRING:
        checks.append(pa.Check.str_length(0, column.max_length, name=f"at most {column.max_length} characters"))
    nullable = column.nullable or column.role is Role.TARGET
    return pa.Column(nullable=nullable, unique=column.unique, checks=checks)


def _finite(series: pd.Series[Any]) -> Any:
    return series.isna() | ~np.isinf(series.astype("float64"))


def _shown(case: Any) -> str:
    return repr(case.item() if hasattr(case, "item") else case)[:80]
