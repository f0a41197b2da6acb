"""Windows: weekdays, hours over midnight, dates, zones and the hour that a clock change takes or gives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ci.errors import BadInput
from ci.params_environments import Environment, Window
from ci.promotion.moments import moment
from ci.promotion.windows import holds, windows

TUESDAY = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "at", "expected"),
    [
        ({}, TUESDAY, True),
        ({"days": ["tue"]}, TUESDAY, True),
        ({"days": ["wed"]}, TUESDAY, False),
        ({"hours": ("09:00", "10:00")}, TUESDAY, False),
        ({"hours": ("10:00", "11:00")}, TUESDAY, True),
        ({"hours": ("09:00", "10:30"), "zone": "Europe/Berlin"}, TUESDAY, False),
        ({"hours": ("11:00", "12:00"), "zone": "Europe/Berlin"}, TUESDAY, True),
        ({"hours": ("22:00", "06:00"), "days": ["mon"]}, datetime(2026, 11, 24, 3, 0, tzinfo=UTC), True),
        ({"hours": ("22:00", "06:00"), "days": ["tue"]}, datetime(2026, 11, 24, 3, 0, tzinfo=UTC), False),
        ({"hours": ("22:00", "06:00"), "days": ["tue"]}, datetime(2026, 11, 24, 23, 0, tzinfo=UTC), True),
        ({"hours": ("22:00", "06:00")}, TUESDAY, False),
        ({"hours": ("18:00", "24:00")}, datetime(2026, 11, 24, 23, 59, tzinfo=UTC), True),
        ({"dates": ("2026-11-24", "2026-11-24")}, TUESDAY, True),
        ({"dates": ("2026-11-25", "2026-11-26")}, TUESDAY, False),
        ({"dates": ("2026-11-25", "2026-11-25"), "zone": "Pacific/Auckland"}, datetime(2026, 11, 24, 12, tzinfo=UTC), True),
        ({"hours": ("02:00", "03:00"), "zone": "Europe/Berlin"}, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), True),
        ({"hours": ("02:00", "03:00"), "zone": "Europe/Berlin"}, datetime(2026, 10, 25, 1, 30, tzinfo=UTC), True),
    ],
)  # fmt: skip
def test_a_moment_lies_in_a_window_or_not(window, at, expected):
    assert holds(Window(**window), at, "production") is expected


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"zone": "Europe/Berlim"}, "'Europe/Berlim' is no IANA time zone"),
        ({"zone": "../etc/passwd"}, "is no IANA time zone"),
        ({"hours": ("9", "25:00")}, "is no hour such as 09:00"),
        ({"dates": ("2026-11-24", "soon")}, "'soon' is no date"),
    ],
)
def test_a_window_that_cannot_be_read_is_bad_input(window, message):
    with pytest.raises(BadInput, match=message):
        windows(Environment(name="production", freeze=[Window(**window)]), TUESDAY)


def test_a_moment_says_its_zone():
    assert moment("2026-11-01T10:00Z") == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert moment("2026-11-01T10:00+02:00") == datetime(2026, 11, 1, 8, tzinfo=UTC)
    for text in ("2026-11-01T10:00", "yesterday", ""):
        with pytest.raises(BadInput, match="--at: "):
            moment(text)
