"""Holding rows to the contract: every broken rule is one sentence with count, period and examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ci.contract import Column
from ci.data.rows import conformed
from ci.data.values import MAX_SAMPLES, Target, Values, _column, surely_sound
from ci.report import Check, Found
from tests import shop

RULES = {
    "town": {"unknown": "reject"},
    "note": {"type": "string", "role": "meta", "max_length": 5},
}


def sound(n: int = 100) -> pd.DataFrame:
    return shop.visits(1, n).assign(note="ok")


def checks(*frames: pd.DataFrame, tolerated: float = 0.0, **columns: Any) -> dict[str, Check]:
    contract = shop.contract(columns=shop.merged(RULES, columns))
    values = Values(contract, tolerated)
    for place, frame in enumerate(frames, 1):
        values.add(f"2024-{place:02d}", conformed(frame, contract))
    return {check.name: check for check in values.checks()}


def test_sound_rows_hold() -> None:
    (check,) = checks(sound(), sound()).values()
    assert (check.name, check.outcome, check.n) == ("contract values", Found.PASSED, 200)


@pytest.mark.parametrize(
    ("column", "value", "name", "said"),
    [
        ("age", -1, "contract age at least 0", "age is below 0 in 1 of 200 rows, first in 2024-02, such as -1"),
        ("age", 121, "contract age at most 120", "age is above 120 in 1 of 200 rows, first in 2024-02, such as 121"),
        ("spent", np.inf, "contract spent finite", "spent is infinite in 1 of 200 rows, first in 2024-02, such as inf"),
        (
            "town",
            "Wien",
            "contract town known category",
            "town is none of its categories in 1 of 200 rows, first in 2024-02, such as 'Wien'",
        ),
        ("town", None, "contract town not missing", "town is missing in 1 of 200 rows, first in 2024-02"),
        (
            "note",
            "too long",
            "contract note at most 5 characters",
            "note is longer than 5 characters in 1 of 200 rows, first in 2024-02, such as 'too long'",
        ),
    ],
)
def test_a_broken_rule_is_a_sentence(column: str, value: Any, name: str, said: str) -> None:
    spoilt = sound()
    spoilt.loc[7, column] = value
    check = checks(sound(), spoilt)[name]
    assert (check.outcome, check.message) == (Found.REJECTED, said)
    assert (check.observed, check.limit, check.n) == (1 / 200, 0.0, 200)
    assert check.extra["periods"] == {"2024-02": 1}


def test_a_missing_value_is_fine_where_the_contract_says_so() -> None:
    assert set(checks(sound().assign(spent=np.nan))) == {"contract values"}


def test_nan_where_none_may_be_makes_the_column_no_integer() -> None:
    assert (
        checks(sound().assign(age=lambda rows: rows["age"].mask(rows.index == 3)))["contract age not missing"].n == 100
    )


def test_some_violations_may_be_tolerated() -> None:
    spoilt = sound()
    spoilt.loc[:1, "age"] = -1
    assert checks(spoilt, tolerated=0.02)["contract age at least 0"].outcome is Found.WARNED
    assert checks(spoilt, tolerated=0.01)["contract age at least 0"].outcome is Found.REJECTED


def test_at_most_twenty_samples_are_kept_and_five_shown() -> None:
    check = checks(sound().assign(age=-5), sound().assign(age=-6))["contract age at least 0"]
    assert len(check.extra["samples"]) == MAX_SAMPLES
    assert check.message.endswith("in 200 of 200 rows, first in 2024-01, such as -5, -5, -5, -5, -5")


@pytest.mark.parametrize(
    ("spoil", "name", "said"),
    [
        ({"age": None}, "contract age", "age is missing since 2024-02"),
        ({"age": "many"}, "contract age", "age is a string since 2024-02, the contract says integer"),
        ({"age": 1.5}, "contract age", "age is a number since 2024-02, the contract says integer"),
        ({"member": "yes"}, "contract member", "member is a string since 2024-02, the contract says boolean"),
        ({"at": 3}, "contract at", "at is a integer since 2024-02, the contract says datetime"),
    ],
)
def test_a_wrong_or_missing_column_is_rejected(spoil: dict[str, Any], name: str, said: str) -> None:
    (column,) = spoil
    spoilt = sound().drop(columns=column) if spoil[column] is None else sound().assign(**spoil)
    check = checks(sound(), spoilt)[name]
    assert (check.outcome, check.message) == (Found.REJECTED, said)


def test_an_undeclared_column_is_a_warning() -> None:
    check = checks(sound(), sound().assign(extra=1, other=2))["undeclared columns"]
    assert (check.outcome, check.message) == (Found.WARNED, "2 not in the contract, first in 2024-02: extra, other")


def test_no_rows_break_no_rule() -> None:
    assert set(checks(sound(), sound().head(0))) == {"contract values"}


EDGES: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "number", "minimum": 0, "maximum": 9}, [0.0, 9.0, -0.1, 9.1, np.nan, np.inf, -np.inf]),
    ({"type": "number", "nullable": True}, [0.0, np.nan, np.inf, -np.inf]),
    ({"type": "integer", "minimum": 1}, [1, 2, 0, -(2**53) - 1, 2**53 + 1]),
    ({"type": "integer", "maximum": 3, "nullable": True}, [3, 4, pd.NA]),
    ({"type": "string", "max_length": 3}, ["", "abc", "abcd", "☃☃☃", "☃☃☃☃", None]),
    ({"type": "string", "categories": ["a", "b"], "unknown": "reject"}, ["a", "b", "", "A", "a ", None]),
    ({"type": "string", "categories": ["a"]}, ["a", "z"]),
    ({"type": "boolean"}, [True, None]),
    ({"type": "boolean", "role": "target"}, [False, None]),
    ({"type": "datetime"}, [pd.Timestamp("2024-01-01"), pd.NaT]),
]


@pytest.mark.parametrize(("said", "values"), EDGES)
def test_what_is_surely_sound_is_just_what_pandera_finds_nothing_in(said: dict[str, Any], values: list[Any]) -> None:
    import pandera.pandas as pa

    column = Column(**said)
    dtypes = {"integer": "Int64", "string": "str", "boolean": "boolean", "datetime": "datetime64[us]"}
    for value in values:
        series = pd.Series([values[0], value], dtype=dtypes.get(said["type"], "float64"))
        schema = pa.DataFrameSchema({"it": _column(column)})
        try:
            schema.validate(series.to_frame("it"), lazy=True)
            fine = True
        except pa.errors.SchemaErrors:
            fine = False
        assert surely_sound(series, column) == fine, value


def test_what_is_stored_in_an_unheard_of_way_is_doubted() -> None:
    assert not surely_sound(pd.Series(["a", 1], dtype=object), Column(type="string"))
    assert not surely_sound(pd.Series([None, None], dtype=object), Column(type="number", nullable=True))


def target(*series: Any, **changes: Any) -> Check | None:
    found = Target(shop.contract(**changes))
    for values in series:
        found.add(pd.Series(values))
    return next(found.checks(), None)


TEXT = {"columns": {"back": {"type": "string"}}, "positive": "yes"}
WHOLE = {"columns": {"back": {"type": "integer"}}}
PRICE = {"columns": {"back": {"type": "number"}}, "task": "regression"}


@pytest.mark.parametrize(
    ("series", "changes", "said"),
    [
        ([[True, True], [True]], {}, "back is always True: there is nothing to learn"),
        ([[None, None]], {}, "no row has a known back"),
        ([["no", "maybe"]], TEXT, "back is never 'yes', which counts as true"),
        ([["yes"], ["yes"]], TEXT, "back is always 'yes': there is nothing to learn"),
        ([[0, 1], [2, 7]], WHOLE, "back is neither 0 nor 1 in some rows, such as 2, 7"),
        ([[3.5, 3.5]], PRICE, "back is always 3.5: there is nothing to learn"),
    ],
)
def test_a_target_that_cannot_be_learned_is_rejected(series: list[Any], changes: dict[str, Any], said: str) -> None:
    check = target(*series, **changes)
    assert check is not None
    assert (check.outcome, check.message) == (Found.REJECTED, said)


@pytest.mark.parametrize(
    ("series", "changes", "said"),
    [
        ([[True], [False, None]], {}, "2 values; 1 rows without one"),
        ([["yes", "no"]], TEXT, "2 values; 0 rows without one"),
        ([[0, 1]], WHOLE, "2 values; 0 rows without one"),
        ([np.arange(5000.0)], PRICE, "many values; 0 rows without one"),
    ],
)
def test_a_target_that_can_be_learned_passes(series: list[Any], changes: dict[str, Any], said: str) -> None:
    check = target(*series, **changes)
    assert check is not None
    assert (check.outcome, check.message) == (Found.PASSED, said)


def test_the_positive_value_is_found_among_very_many() -> None:
    check = target([f"no{place}" for place in range(3000)], ["yes"], **TEXT)
    assert check is not None
    assert check.outcome is Found.PASSED


def test_no_target_column_no_verdict_on_it() -> None:
    assert target() is None
