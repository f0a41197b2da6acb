from __future__ import annotations

import pandas as pd
import pytest

from ci.scaffold.dates import moments

DAYS = pd.date_range("2024-01-01", periods=120, freq="D")


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y",
        "%d-%b-%Y",        "%B %d, %Y", "%d.%m.%y", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d %b %Y",
    ],
)  # fmt: skip
def test_dates_are_read_in_the_format_they_were_written(form: str) -> None:
    found = moments("x", pd.Series(DAYS.strftime(form)), "text")
    assert list(found.read) == list(DAYS)


def test_only_text_that_sorts_like_time_is_cut_while_reading() -> None:
    sortable = {
        form: moments("x", pd.Series(DAYS.strftime(form)), "text").sortable
        for form in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y")
    }
    assert sortable == {"%Y-%m-%d": True, "%Y/%m/%d": False, "%d.%m.%Y": False}
    offsets = pd.Series(["2024-01-01T00:30:00+01:00", "2024-07-01T00:00:00+02:00"] * 10)
    assert not moments("x", offsets, "text").sortable


def test_summer_and_winter_offsets_become_utc() -> None:
    found = moments("x", pd.Series(["2024-01-01T00:30:00+01:00", "2024-07-01T00:00:00+02:00"] * 10), "text")
    assert list(found.read[:2]) == [pd.Timestamp("2023-12-31 23:30"), pd.Timestamp("2024-06-30 22:00")]


def test_an_order_that_could_be_either_is_told() -> None:
    found = moments("x", pd.Series(["01/02/2024", "03/04/2024", "02/05/2024", "05/06/2024"] * 5), "text")
    assert "could also be" in found.doubt


def test_the_order_that_makes_a_series_wins() -> None:
    found = moments("x", pd.Series([f"{month:02d}/01/2024" for month in range(1, 13)]), "text")
    assert list(found.read.dt.month) == list(range(1, 13))


def test_compact_integers_are_dates_and_other_integers_are_not() -> None:
    assert list(moments("x", pd.Series(DAYS.strftime("%Y%m%d").astype(int)), "integer").read) == list(DAYS)
    assert moments("x", pd.Series([20_240_101, 20_249_999]), "integer") is None
    assert moments("x", pd.Series([1, 2, 3]), "integer") is None


def test_seconds_since_1970_need_a_name_that_speaks_of_time() -> None:
    seconds = pd.Series([int(day.timestamp()) for day in DAYS])
    assert list(moments("created_at", seconds, "integer").read) == list(DAYS)
    assert list(moments("created_at", seconds * 1000, "integer").read) == list(DAYS)
    assert moments("population", seconds, "integer") is None


@pytest.mark.parametrize(
    "values", [["12-A", "13-B"], ["12:30", "13:10"], ["1.2", "3.4"], ["a", "b"], ["2024", "x"], ["1001-12", "1002-11"]]
)
def test_other_texts_are_no_dates(values: list[str]) -> None:
    assert moments("x", pd.Series(values * 20), "text") is None


def test_a_few_strangers_become_missing_and_are_told() -> None:
    found = moments("x", pd.Series([*DAYS.strftime("%Y-%m-%d"), "unknown"]), "text")
    assert found.read.isna().sum() == 1
    assert "unknown" in found.fix.remark("dates")
