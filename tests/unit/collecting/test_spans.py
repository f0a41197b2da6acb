"""Stretches of time as people write them."""

from __future__ import annotations

import pytest

from ci.collecting.spans import span
from ci.errors import BadInput


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("2013-07", "2013-07-01", "2013-08-01"), ("2013-07..2013-12", "2013-07-01", "2014-01-01"),
     ("2013", "2013-01-01", "2014-01-01"), ("2013-07..2013-08-02", "2013-07-01", "2013-08-03"),
     ("2013-07-15..2013-07-15", "2013-07-15", "2013-07-16"), ("2013-W01", "2012-12-31", "2013-01-07"),
     ("2013-12..2023-01", "2013-12-01", "2023-02-01"), ("2024-02", "2024-02-01", "2024-03-01")],
)  # fmt: skip
def test_first_and_last_are_included(text: str, start: str, end: str) -> None:
    found = span(text)
    assert (str(found.start.date()), str(found.end.date())) == (start, end)


@pytest.mark.parametrize(
    "text",
    ["", "2013-13", "2013-07..", "..2013-07", "2013-08..2013-07", "July", "2013-W54", "2013-07...2013-08", "20130701"],
)
def test_what_is_none_is_said_in_one_line(text: str) -> None:
    with pytest.raises(BadInput, match="--periods"):
        span(text)
