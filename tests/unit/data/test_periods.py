"""Cutting time into deliveries."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from ci.data.periods import following, name_of, periods
from ci.errors import BadInput
from ci.params import parse
from ci.sources import Source

TABLES = {"visits": {"kind": "file", "path": "rows.csv"}}


def source(*eras: tuple[str | None, str | None], period: str = "month") -> Source:
    made = [
        {"name": f"e{place}", "start": start, "end": end, "tables": TABLES} for place, (start, end) in enumerate(eras)
    ]
    return parse(Source, {"period": period, "eras": made}, "source")


def listed(given: Source, as_of: date) -> list[tuple[str, bool]]:
    return [(period.name, period.closed) for period in periods(given, as_of, timeless=False)]


def test_months_up_to_as_of() -> None:
    assert listed(source(("2023-12-01", None)), date(2024, 3, 1)) == [
        ("2023-12", True),
        ("2024-01", True),
        ("2024-02", True),
    ]


def test_the_newest_period_is_open_until_it_is_whole() -> None:
    assert listed(source(("2024-01-01", None)), date(2024, 2, 15)) == [("2024-01", True), ("2024-02", False)]


def test_periods_follow_each_other_without_gap_or_overlap() -> None:
    made = periods(source(("2024-01-01", None), period="week"), date(2024, 12, 31), timeless=False)
    assert made[0].start == datetime(2024, 1, 1)
    assert made[-1].end == datetime(2024, 12, 31)
    assert all(earlier.end == later.start for earlier, later in zip(made, made[1:], strict=False))


@pytest.mark.parametrize(
    ("day", "length", "name", "after"),
    [
        (date(2024, 2, 29), "day", "2024-02-29", date(2024, 3, 1)),
        (date(2024, 12, 30), "week", "2025-W01", date(2025, 1, 6)),
        (date(2021, 1, 3), "week", "2020-W53", date(2021, 1, 4)),
        (date(2024, 12, 31), "month", "2024-12", date(2025, 1, 1)),
        (date(2024, 1, 31), "month", "2024-01", date(2024, 2, 1)),
        (date(2024, 7, 1), "year", "2024", date(2025, 1, 1)),
    ],
)
def test_names_and_ends(day: date, length: str, name: str, after: date) -> None:
    assert name_of(day, length) == name
    assert following(day, name) == after


def test_eras_may_leave_a_gap_and_future_ones_are_not_known() -> None:
    given = source(("2013-11-01", "2014-01-01"), ("2023-01-01", None))
    assert [name for name, _ in listed(given, date(2023, 2, 1))] == ["2013-11", "2013-12", "2023-01"]
    assert [name for name, _ in listed(given, date(2014, 6, 1))] == ["2013-11", "2013-12"]


def test_an_era_that_ends_inside_a_period_leaves_it_open() -> None:
    assert listed(source(("2024-01-01", "2024-02-10")), date(2025, 1, 1)) == [("2024-01", True), ("2024-02", False)]


@pytest.mark.parametrize(
    ("eras", "said"),
    [
        ([("2024-01-01", "2024-01-15"), ("2024-01-15", None)], "source.eras: e0 and e1 share the month 2024-01"),
        ([(None, None)], "source.eras.e0.start: missing; rows with an event time need a first day"),
        ([("2030-01-01", None)], "as_of 2024-03-01: no period has begun by then"),
    ],
)
def test_what_cannot_be_cut_is_said(eras: list[Any], said: str) -> None:
    with pytest.raises(BadInput, match=f"^{said}$"):
        periods(source(*eras), date(2024, 3, 1), timeless=False)


def test_without_an_event_time_there_is_one_period() -> None:
    (only,) = periods(source((None, None)), date(2024, 3, 1), timeless=True)
    assert (only.name, only.start, only.end, only.closed) == ("all", None, None, True)


def test_without_an_event_time_eras_cannot_be_told_apart() -> None:
    with pytest.raises(BadInput, match=r"^source\.eras: more than one needs an `event_time`"):
        periods(source((None, "2024-01-01"), ("2024-01-01", None)), date(2024, 3, 1), timeless=True)
