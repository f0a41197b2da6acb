from __future__ import annotations

import numpy as np
import pytest

from ci.contract import Role, Type
from ci.scaffold.columns import guess
from tests.unit.scaffold.conftest import sheet

N = 100
DRAW = np.random.default_rng(0)


def guessed(values: object, name: str = "column", **options: object) -> object:
    return guess(sheet(**{name: values}, **options), name)


@pytest.mark.parametrize(
    ("values", "kind", "nullable"),
    [
        ([1.5, 2.5] * 50, Type.NUMBER, False),
        ([3, 7, 9, 11] * 25, Type.INTEGER, False),
        ([3, 7, None, 11] * 25, Type.INTEGER, True),
        ([0, 1] * 50, Type.BOOLEAN, False),
        ([0, 1, None, 1] * 25, Type.BOOLEAN, True),
        ([True, False] * 50, Type.BOOLEAN, False),
        ([True, False, None, True] * 25, Type.BOOLEAN, True),
        (["yes", "no"] * 50, Type.STRING, False),
        (["Łódź", None, "東京", "York"] * 25, Type.STRING, True),
    ],
)
def test_a_column_gets_the_type_of_its_values(values: list[object], kind: Type, nullable: bool) -> None:
    found = guessed(values).column
    assert (found.type, found.nullable, found.role) == (kind, nullable, Role.FEATURE)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("x", [7] * N, "always '7'"),
        ("x", [None] * N, "empty"),
        ("x", [f"K{i:04d}" for i in range(N)], "an id"),
        ("row", list(range(5, 5 + N)), "an id"),
        ("customer_id", list(DRAW.permutation(100_000)[:N]), "an id"),
        ("customerId", list(np.repeat(np.arange(0, 1000, 20), 2)), "an id, by its name"),
        ("notes", [f"she said {i} things, and then more" for i in range(N)], "free text"),
        ("opinion", [f"I liked it {i % 60} times over" for i in range(N)], "free text"),
        ("Phone Number", list(DRAW.integers(10**6, 10**7, N)), "personal data"),
        ("contact", [f"u{i % 9}@x.org" for i in range(N)], "e-mail"),
        ("e-mail", ["a", "b"] * 50, "personal data"),
        ("ssn", ["1-1", "1-2"] * 50, "personal data"),
    ],
)
def test_what_no_model_should_learn_is_carried_along(name: str, values: list[object], why: str) -> None:
    found = guessed(values, name)
    assert found.column.role is Role.META
    assert why in found.why


def test_unique_numbers_are_no_ids_unless_they_are_called_so() -> None:
    assert guessed(list(DRAW.permutation(100_000)[:N]), "population").column.role is Role.FEATURE


def test_codes_are_texts_by_their_name_or_by_a_zero_in_front() -> None:
    found = guess(sheet(zip_code=[1234, 2134] * 50), "zip_code")
    assert found.column.type is Type.STRING
    assert found.column.categories == ["1234", "2134"]
    found = guess(sheet(shop=["0123", "2134"] * 50), "shop")
    assert found.column.type is Type.STRING
    assert found.column.categories == ["0123", "2134"]
    assert "begin with a zero" in found.why


def test_ids_that_repeat_keep_rows_together() -> None:
    assert guessed(list(np.repeat(np.arange(50), 2)), "customer_id").entity


def test_categories_are_spelt_as_the_graph_sees_them() -> None:
    assert guessed(["Mu\u0308nchen", "M\u00fcnchen", "Bonn", "Bonn"] * 25).column.categories == ["Bonn", "M\u00fcnchen"]


def test_numbers_beyond_float32_are_rounded_or_left_out() -> None:
    rounded, lost = guessed([2**40, 2**41 + 1, 5, 9] * 25), guessed([1e40, 2.0, 3.5, 4.0] * 25)
    assert (rounded.column.type, rounded.column.role) == (Type.NUMBER, Role.FEATURE)
    assert "16,777,216" in rounded.warning
    assert lost.column.role is Role.META


def test_large_ids_stay_whole() -> None:
    found = guessed(list(DRAW.permutation(100_000)[:N].astype("int64") + 2**40), "account_id").column
    assert (found.type, found.role) == (Type.INTEGER, Role.META)


def test_infinities_become_missing() -> None:
    found = guessed([1.5, np.inf, -2.0, 3.0] * 25)
    assert found.column.nullable
    assert found.fix.read.isna().sum() == 25
    assert found.column.minimum is None


def test_long_texts_fit_their_contract_and_endless_ones_are_named_out() -> None:
    assert guessed(["x" * 300, "y"] * 50).column.max_length >= 300
    assert guessed(["x" * 100_001, "y"] * 50) is None
    assert guessed([1, 2] * 50, "n" * 201) is None
    assert guessed([1, 2] * 50, "") is None
