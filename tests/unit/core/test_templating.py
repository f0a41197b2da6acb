"""Numbers and values for people; undefined names are errors."""

from __future__ import annotations

import math
from typing import Any

import jinja2
import numpy as np
import pytest

from ci.templating import cell, number, printable, render


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (0, "0"), (1234567, "1,234,567"), (3.0, "3"), (1234.56, "1,235"), (0.123456, "0.1235"), (0.00012, "1.20e-04"),
        (-0.5, "-0.5"), (12.3456, "12.35"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"),
        (np.float64(0.25), "0.25"), (1e20, "100,000,000,000,000,000,000"), (True, "True"), ("x", "x"),
    ],
)  # fmt: skip
def test_numbers_are_short_and_exact_enough(value: Any, spelled: str) -> None:
    assert number(value) == spelled


@pytest.mark.parametrize(
    ("value", "spelled"), [(None, "–"), (True, "yes"), (False, "no"), ((1, None), "1, –"), ([], "")]
)
def test_cells_are_words(value: Any, spelled: str) -> None:
    assert cell(value) == spelled


def test_an_undefined_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("report/junit.xml.j2", seconds=1)


def test_control_characters_are_never_rendered() -> None:
    assert printable("a\x00\x1b[31m\ud800b\n\tc") == "a��[31m�b\n\tc"
