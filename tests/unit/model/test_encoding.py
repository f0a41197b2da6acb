"""From rows to tensors, as docs/reference/bundle.md fixes it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ci.data.rows import conformed
from ci.model.encoding import columns, encode
from tests import shop

CONTRACT = shop.contract(columns={"seen": {"type": "datetime"}})


def rows(**changes: object) -> pd.DataFrame:
    given = {
        "age": [30, 40],
        "spent": [1.5, None],
        "town": ["Köln", "York"],
        "member": [True, False],
        "seen": ["1970-01-02", "2024-02-29T12:00:01.9"],
    }
    return conformed(pd.DataFrame({**given, **changes}), CONTRACT)


def test_columns_are_grouped_by_type_in_the_order_of_the_contract() -> None:
    assert columns(CONTRACT) == {"numbers": ["age", "spent", "member"], "texts": ["town"], "times": ["seen"]}


def test_a_group_without_columns_is_absent() -> None:
    assert set(columns(shop.contract(columns={"town": {"role": "meta"}}))) == {"numbers"}


def test_numbers_booleans_and_gaps_are_float32() -> None:
    numbers = encode(rows(), CONTRACT)["numbers"]
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers, np.array([[30, 1.5, 1], [40, np.nan, 0]], dtype=np.float32))


def test_texts_are_composed_unicode_and_gaps_are_empty() -> None:
    texts = encode(rows(town=["Ko\u0308ln", None]), CONTRACT)["texts"]
    assert texts.tolist() == [["Köln"], [""]]


def test_moments_are_whole_seconds_of_the_wall_clock() -> None:
    times = encode(rows(), CONTRACT)["times"]
    assert times.dtype == np.int64
    assert times.tolist() == [[86_400], [1_709_208_001]]


def test_the_order_of_the_frame_does_not_matter() -> None:
    frame = rows()
    for name, tensor in encode(frame[frame.columns[::-1]], CONTRACT).items():
        np.testing.assert_array_equal(tensor, encode(frame, CONTRACT)[name])


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows_keep_their_shape(n: int) -> None:
    assert {name: tensor.shape for name, tensor in encode(rows().head(n), CONTRACT).items()} == {
        "numbers": (n, 3),
        "texts": (n, 1),
        "times": (n, 1),
    }
