"""The contract: what may stand together, and what each mistake is called."""

from __future__ import annotations

from typing import Any

import pytest

from ci.contract import Contract, Type, plain
from ci.errors import BadInput
from ci.params import parse
from tests import shop


def complaint(**changes: Any) -> str:
    with pytest.raises(BadInput) as caught:
        shop.contract(**changes)
    return str(caught.value).removeprefix("contract.yaml: ")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            {"type": "integr"},
            "columns.x.type: input should be 'number', 'integer', 'boolean', 'string' or 'datetime', found 'integr'",
        ),
        ({"type": "string", "minimum": 1}, "columns.x: minimum and maximum need a number, not a string"),
        ({"type": "number", "minimum": 3, "maximum": 2}, "columns.x: minimum 3 is above maximum 2"),
        ({"type": "integer", "categories": ["a"]}, "columns.x: categories need a string, not a integer"),
        ({"type": "string", "categories": ["a", "a"]}, "columns.x: categories name a value twice"),
        (
            {"type": "datetime", "nullable": True},
            "columns.x: a datetime feature cannot be nullable: the graph's integers have no missing value",
        ),
        (
            {"type": "integer", "maximum": 2**24 + 1},
            "columns.x: an integer feature must stay within ±16777216 (2^24): the graph computes in float32",
        ),
        ({"type": "number", "nulable": True}, "columns.x.nulable: unknown key (did you mean nullable?)"),
        (
            {"type": "string", "unknown": "maybe"},
            "columns.x.unknown: string should match pattern '^(accept|reject)$', found 'maybe'",
        ),
        ({}, "columns.x.type: missing"),
    ],
)
def test_a_column_fits_its_type(column: dict[str, Any], said: str) -> None:
    assert complaint(columns={"x": column}) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keys": ["idd"]}, "the file: keys names idd, which is not among columns"),
        ({"slices": ["city"]}, "the file: slices names city, which is not among columns"),
        ({"cluster": "week"}, "the file: cluster names week, which is not among columns"),
        ({"group": "house"}, "the file: group names house, which is not among columns"),
        ({"event_time": "age"}, "the file: event_time: age is a integer, not a datetime"),
        ({"event_time": None}, "the file: cluster: day needs an event_time"),
        ({"target": "age"}, "the file: target: age must be the one column with role target"),
        ({"task": "regression"}, "the file: target: a regression task cannot predict a boolean"),
        ({"task": "multiclass"}, "the file: target: a multiclass task cannot predict a boolean"),
        (
            {"positive": "yes"},
            "the file: positive: only a binary target of strings has one; of others, 1 or true counts as true",
        ),
        (
            {"columns": {"back": {"type": "string"}}},
            "the file: positive: missing; a binary target of strings needs the value that counts as true",
        ),
        ({"columns": {"age": {"role": "target"}}}, "the file: target: back must be the one column with role target"),
        ({"label_horizon_days": -1}, "label_horizon_days: input should be greater than or equal to 0, found -1"),
        (
            {"accepted": [{"period": "2024-01", "change": "x", "because": "…"}]},
            "accepted.0.because: string should have at least 3 characters, found '…'",
        ),
    ],
)
def test_a_contract_hangs_together(changes: dict[str, Any], said: str) -> None:
    assert complaint(**changes) == said


def test_a_contract_without_features_is_none() -> None:
    columns = {name: {"role": "meta"} for name in ("age", "spent", "town", "member")}
    assert complaint(columns=columns) == "the file: columns: none has the role feature"


def test_ten_thousand_columns_are_too_many() -> None:
    columns = {f"x{place}": {"type": "number"} for place in range(10_000)}
    assert complaint(columns=columns) == "columns: dictionary should have at most 1000 items after validation, not more"


def test_features_are_what_is_known_beforehand_in_the_order_of_the_contract() -> None:
    assert list(shop.contract().features) == ["age", "spent", "town", "member"]
    assert shop.contract().of_type(Type.INTEGER, Type.NUMBER) == ["age", "spent"]


def test_acceptance_is_for_one_change_in_one_period() -> None:
    agreed = {"period": "2024-02", "change": "drift town", "because": "a shop was opened in Zürich"}
    contract = shop.contract(accepted=[agreed])
    assert contract.agreed("2024-02", "drift town")
    assert not contract.agreed("2024-03", "drift town")
    assert not contract.agreed("2024-02", "drift age")


def test_what_only_tells_does_not_change_the_data_version() -> None:
    assert plain(shop.contract(description="Anything else?", slices=[])) == plain(shop.contract())
    assert plain(shop.contract(keys=[])) != plain(shop.contract())


def test_a_contract_can_be_read_back() -> None:
    contract = shop.contract()
    assert parse(Contract, contract.model_dump(mode="json"), "x") == contract
