from __future__ import annotations

from calendar import timegm
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01T00:00:00.999", 0),
        ("1969-12-31T23:59:59.5", -1),
        ("1970-01-02", 86400),
        ("1970-01-01T01:00", 3600),
        ("1970-01-01 01:00", 3600),
        ("1970-01-01T01:00+01:00", 0),
        ("1970-01-01t01:00:00z", 3600),
        ("1970-01-01T00:00:00-05:30", 19800),
    ],
)
def test_iso_8601(text, seconds):
    assert times.parse(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "now", "1970", "19700101", "1970-13-01", "1970-01-01T25:00", "01/02/1970", "١٩٧٠-01-01"]
)
def test_what_is_none(text):
    assert times.parse(text) is None


@given(st.datetimes())
def test_every_moment_survives(moment):
    wanted = timegm(moment.timetuple())  # whole seconds, without the rounding of a float
    assert times.parse(moment.isoformat()) == times.seconds(moment) == wanted
    assert times.seconds(moment.replace(tzinfo=UTC)) == wanted
