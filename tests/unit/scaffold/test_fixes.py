from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ci.scaffold.dates import moments
from ci.scaffold.fixes import Fix, finite, numbers


def carried_out(fix: Fix, series: pd.Series, name: str = "x") -> pd.Series:
    """Run the line that the project gets."""
    scope = {"rows": pd.DataFrame({name: series}), "pd": pd}
    exec(fix.line(name), scope)  # noqa: S102
    return scope["rows"][name]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1,5", "-2,25", "10"], [1.5, -2.25, 10]),
        (["1.234,50", "7,00", "12.345.678,9"], [1234.5, 7, 12345678.9]),
        (["1,234.50", "12", "1,000,000"], [1234.5, 12, 1_000_000]),
        (["$12.50", "$1.00", "$7"], [12.5, 1, 7]),
        (["5 %", "7.5 %", "10 %"], [5, 7.5, 10]),
        (["12 €", "13,5 €", None], [12, 13.5, np.nan]),
        ([*["1.5", "2.5"] * 10, " "], [*[1.5, 2.5] * 10, np.nan]),
        ([*["1", "2"] * 10, "?", "n.a."], [*[1, 2] * 10, np.nan, np.nan]),
    ],
)
def test_numbers_in_text_are_read_and_the_written_line_does_the_same(texts: list[str], values: list[float]) -> None:
    series = pd.Series(texts)
    found = numbers(series)
    np.testing.assert_array_equal(found.read, values)
    for name in ("x", 'a "quoted" name', "d'origine", "back\\slash", "new\nline", "Größe 東" * 12):
        np.testing.assert_array_equal(carried_out(found, series, name), values)


@pytest.mark.parametrize(
    "texts", [["12A", "13B", "14"], ["a", "b"], ["1-2", "3-4"], ["10.0.0.1", "10.0.0.2"], ["", " "]]
)
def test_codes_stay_texts(texts: list[str]) -> None:
    assert numbers(pd.Series(texts * 20)) is None


def test_many_different_strangers_mean_that_it_is_no_number() -> None:
    assert numbers(pd.Series([*map(str, range(94)), *"abcdef"])) is None


def test_dates_and_infinities_by_the_written_line() -> None:
    for series, kind in (
        (pd.Series(["31.12.2024", "01.01.2025"] * 5), "text"),
        (pd.Series([20241231, 20250101]), "integer"),
        (pd.Series([*["2024-12-31"] * 30, "?"]), "text"),
    ):
        found = moments("x", series, kind)
        written = carried_out(found.fix, series)
        written = written.dt.tz_localize(None) if written.dt.tz is not None else written
        pd.testing.assert_series_equal(written.dt.as_unit("us"), found.read, check_names=False)
    endless = pd.Series([1.0, np.inf, -np.inf])
    np.testing.assert_array_equal(carried_out(finite(endless), endless), [1, np.nan, np.nan])
