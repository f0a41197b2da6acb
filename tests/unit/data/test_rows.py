"""Rows as the contract wants them: casts that lose nothing, hashes that stay, targets as metrics take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ci.contract import Column
from ci.data import rows
from ci.files import sha256
from tests import shop


def cast(values: Any, kind: str) -> pd.Series[Any]:
    contract = shop.contract(columns={"x": {"type": kind, "role": "meta"}})
    return rows.conformed(pd.DataFrame({"x": values}), contract)["x"]


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        ([1, 2], "number", "float64"),
        ([1.5, None], "number", "float64"),
        ([True, False], "number", "float64"),
        ([1, 2], "integer", "int64"),
        ([1.0, None], "integer", "Int64"),
        ([0, 1], "boolean", "bool"),
        ([True, None], "boolean", "boolean"),
        ([10115, 80331], "string", "str"),
        (["a", None], "string", "str"),
        (["2024-01-01T05:15:00"], "datetime", "datetime64[us]"),
        (["2024-01-01", "2024-01-02T03:00"], "datetime", "datetime64[us]"),
        ([None, None], "number", "float64"),
        ([None, None], "integer", "Int64"),
    ],
)
def test_a_cast_that_loses_nothing_is_done(values: Any, kind: str, dtype: str) -> None:
    made = cast(values, kind)
    assert made.dtype == dtype
    assert rows.fits(made, Column(type=kind, nullable=True, role="meta"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "number"),
        ([1.5, 2.0], "integer"),
        ([0, 2], "boolean"),
        (["yes", "no"], "boolean"),
        ([1.5], "string"),
        (["1/31/2024"], "datetime"),
        ([20240131], "datetime"),
        (["2024-01-01", "soon"], "datetime"),
    ],
)
def test_a_cast_that_would_guess_is_left_to_the_check(values: Any, kind: str) -> None:
    made = cast(values, kind)
    assert list(made) == values
    assert not rows.fits(made, Column(type=kind, nullable=False, role="meta"))


def test_moments_with_an_offset_are_told_in_utc() -> None:
    assert list(cast(["2024-01-01T00:30:00+02:00"], "datetime")) == [pd.Timestamp("2023-12-31T22:30:00")]
    assert list(cast(["2024-01-01T12:00:00+01:00", "2024-07-01T12:00:00+02:00"], "datetime")) == [
        pd.Timestamp("2024-01-01T11:00:00"), pd.Timestamp("2024-07-01T10:00:00")]  # fmt: skip


def test_columns_are_in_the_order_of_the_contract_and_others_follow() -> None:
    made = rows.conformed(pd.DataFrame({"z": [1], "town": ["York"], "age": [3], "a": [1]}), shop.contract())
    assert list(made.columns) == ["age", "town", "z", "a"]


def test_equal_rows_make_equal_bytes(tmp_path: Path) -> None:
    frame = shop.visits(1)
    rows.write_parquet(frame, tmp_path / "a.parquet")
    rows.write_parquet(frame.copy(), tmp_path / "b.parquet")
    assert sha256(tmp_path / "a.parquet") == sha256(tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), frame)


def test_hashes_tell_rows_apart_and_know_them_again() -> None:
    frame = pd.DataFrame({"a": ["x", "y", "x"], "b": [1.0, 1.0, np.nan]})
    first, second, third = rows.row_hashes(frame)
    assert len({first, second, third}) == 3
    assert list(rows.row_hashes(frame.iloc[::-1])) == [third, second, first]


def test_labels_are_what_metrics_take() -> None:
    binary = rows.labels(pd.Series([True, False]), shop.contract())
    assert list(binary) == [1, 0]
    texts = shop.contract(columns={"back": {"type": "string"}}, positive="yes")
    assert list(rows.labels(pd.Series(["yes", "no", "maybe"]), texts)) == [1, 0, 0]
    several = shop.contract(task="multiclass", columns={"back": {"type": "string", "categories": ["red", "blue"]}})
    assert rows.classes(pd.Series(["red"]), several) == ["blue", "red"]
    assert list(rows.labels(pd.Series(["red", "blue"]), several)) == [1, 0]
    price = shop.contract(task="regression", columns={"back": {"type": "number"}})
    assert list(rows.labels(pd.Series([1, 2.5]), price)) == [1.0, 2.5]


@pytest.mark.parametrize(("kind", "wanted"), [("integer", [7, 12]), ("number", [7.0, 12.0]), ("string", ["07", "12"])])
def test_digits_with_a_zero_in_front_are_what_the_contract_says(kind: str, wanted: list[Any]) -> None:
    assert list(cast(["07", "12"], kind)) == wanted
