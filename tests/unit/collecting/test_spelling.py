"""How rows travel: what JSON can say, as the contract types it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from ci.collecting import spelling
from ci.collecting.patch import Fault, patch
from ci.data.rows import conformed
from tests import shop

CONTRACT = shop.contract(label_horizon_days=1.5)


def frame(**changes: object) -> pd.DataFrame:
    row = {"id": 7, "at": "2024-03-01T10:00:00", "age": 33, "spent": 1.5, "town": "Łódź", "member": True,
           "returned_on": 4.0, "back": True}  # fmt: skip
    return conformed(pd.DataFrame([{**row, **changes}]), CONTRACT)


def test_values_are_those_of_the_contract() -> None:
    (row,) = spelling.records(frame(), CONTRACT)
    assert row == {"age": 33, "spent": 1.5, "town": "Łódź", "member": True, "at": "2024-03-01T10:00:00", "id": 7}
    assert {type(value) for value in row.values()} == {int, float, str, bool}
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(("value", "spelled"), [(None, None), (float("inf"), "inf"), (2, 2.0)])
def test_what_json_cannot_say(value: object, spelled: object) -> None:
    assert spelling.records(frame(spent=value), CONTRACT)[0]["spent"] == spelled


def test_fractions_of_a_second_are_kept() -> None:
    assert spelling.records(frame(at="2024-03-01T10:00:00.25"), CONTRACT)[0]["at"] == "2024-03-01T10:00:00.250000"


def test_an_outcome_says_what_became_known_and_when() -> None:
    assert spelling.outcomes(frame(), CONTRACT, ["abc"]) == [
        {"request_id": "abc", "row": 0, "id": 7, "known_at": "2024-03-02T22:00:00", "returned_on": 4.0, "back": True}]  # fmt: skip
    assert spelling.outcomes(frame(returned_on=None), CONTRACT, None) == [
        {"id": 7, "known_at": "2024-03-02T22:00:00", "back": True}
    ]


def test_of_what_never_became_known_there_is_no_outcome() -> None:
    assert spelling.outcomes(frame(returned_on=None, back=None), CONTRACT, None) == []


def test_ids_are_names_of_keys() -> None:
    first, again = (spelling.request_ids(frame(age=age), CONTRACT, "shop")[0] for age in (20, 30))
    assert first == again
    assert first != spelling.request_ids(frame(id=8), CONTRACT, "shop")[0]
    assert first != spelling.request_ids(frame(), CONTRACT, "other")[0]


@pytest.mark.parametrize(
    ("column", "values", "lines"),
    [("age", [131, 150, -4], ["# columns: age: minimum: -4", "# columns: age: maximum: 150"]),
     ("age", [None], ["# columns: age: nullable: true"]),
     ("spent", [None], []),
     ("town", ["Oslo", "York", "Bern", "Oslo"], ['# columns: town: categories: add "Bern", "Oslo"']),
     ("town", ["x" * 201], [f'# columns: town: categories: add "{"x" * 201}"', "# columns: town: max_length: 201"]),
     ("age", ["old"], []), ("strange", [1], [])],
)  # fmt: skip
def test_refused_values_become_lines_for_the_contract(column: str, values: list[object], lines: list[str]) -> None:
    assert patch([Fault(column, value) for value in values], CONTRACT) == lines
