from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.contract import Task, Type
from ci.errors import BadInput
from ci.scaffold.target import Aim, aim
from ci.scaffold.wish import Wish
from tests.unit.scaffold.conftest import sheet


def aimed(values: list[Any], **options: Any) -> Aim:
    return aim(sheet(y=values), Wish(name="x", csv=Path("x.csv"), target="y", **options))


@pytest.mark.parametrize(
    ("values", "task", "kind", "positive"),
    [
        (["no", "no", "yes"] * 40, Task.BINARY, Type.STRING, "yes"),
        (["nein", "ja", "nein"] * 40, Task.BINARY, Type.STRING, "ja"),
        (["left", "stays", "stays"] * 40, Task.BINARY, Type.STRING, "left"),
        ([1, 2, 2] * 40, Task.BINARY, Type.STRING, "2"),
        ([0, 1, 1] * 40, Task.BINARY, Type.BOOLEAN, None),
        ([0, 1, None] * 40, Task.BINARY, Type.BOOLEAN, None),
        ([True, False, None] * 40, Task.BINARY, Type.BOOLEAN, None),
        (["a", "b", "c"] * 40, Task.MULTICLASS, Type.STRING, None),
        ([1, 2, 3] * 40, Task.MULTICLASS, Type.STRING, None),
        ([1.0, 2.0, 3.0, None] * 40, Task.MULTICLASS, Type.STRING, None),
        (list(range(120)), Task.REGRESSION, Type.NUMBER, None),
        ([1.5, 2.5, 4.0] * 40, Task.REGRESSION, Type.NUMBER, None),
        (["1,5", "2,5", "4,0"] * 40, Task.REGRESSION, Type.NUMBER, None),
    ],
)
def test_the_target_s_values_tell_the_task(values: list[Any], task: Task, kind: Type, positive: str | None) -> None:
    found = aimed(values)
    assert (found.task, found.guess.column.type, found.positive) == (task, kind, positive)


def test_a_positive_value_can_be_named() -> None:
    assert aimed(["no", "yes"] * 40, positive="no").positive == "no"
    turned = aimed([0, 1] * 40, positive="0")
    assert (turned.positive, turned.guess.column.categories) == ("0", ["0", "1"])


def test_ranking_takes_clicks() -> None:
    assert aimed([0, 1] * 40, task="ranking").guess.column.type is Type.BOOLEAN


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([None] * 80, {}, "no row has a value"),
        (["a"] * 80, {}, "constant, always 'a'"),
        (["a", "b"] * 20, {}, "40 rows have a value; 50 are the least"),
        ([*["a"] * 80, "b"], {}, "in 1 rows only; 4 are the least"),
        ([f"t{i}" for i in range(80)], {}, "80 different texts in 80 rows are too many for classes"),
        ([f"2024-01-{i % 28 + 1:02d}" for i in range(80)], {}, "holds dates"),
        (["a", "b", "c"] * 40, {"task": "binary"}, "3 values; a binary target has two"),
        (["a", "b", "c"] * 40, {"task": "regression"}, "text, not a number, such as 'a'"),
        ([1.5, 2.5, 3.25] * 40, {"task": "multiclass"}, "numbers such as 1.5 are no classes"),
        ([1.5, float("inf"), 3.0] * 40, {}, "40 values are infinite"),
        (["a", "b"] * 40, {"task": "ranking"}, "ranking needs true and false"),
        (["a", "b"] * 40, {"positive": "A"}, "the target is never 'A'"),
        ([True, False] * 40, {"positive": "false"}, "true counts as positive"),
        (["a", "b", "c"] * 40, {"positive": "a"}, "a multiclass target has no value that counts as true"),
    ],
)
def test_a_target_that_cannot_be_predicted_is_one_clear_line(
    values: list[Any], options: dict[str, str], message: str
) -> None:
    with pytest.raises(BadInput) as refused:
        aimed(values, **options)
    assert message in str(refused.value)
