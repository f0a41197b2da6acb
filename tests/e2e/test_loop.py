"""
The loop that labels close, on real flights, without a person.

Given two releases, the second live in production, that know January 2013, and January to April,
when the summer comes, in which nearly every third flight is late, and labels tell of that a day later,
then the watch takes the release back for its Brier score, the trigger learns from newer data, once, the gate accepts, the
canary passes, and on the flights of the weeks that follow production answers better than the release that fell would have:
the whole interval of the gain, with a day as one observation, lies above zero.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ci.adapters.envoy import binary
from ci.errors import BadInput
from tests.e2e.gains import gain, labelled, spelled
from tests.e2e.loop import Loop, days, looping

WANTED = "SLIPWAY_LOOP"  # set it to run this: it learns three models, and takes some minutes
SHARE = float(os.environ.get("SLIPWAY_LOOP_SHARE", "0.25"))  # of flights that production is asked about
SUMMER, LATEST, AFTER_DAYS = "2013-06-01", "2013-07-20", 56

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("flights"),
    pytest.mark.skipif(not os.environ.get(WANTED), reason=f"takes minutes: set {WANTED}=1 to run it"),
]


@pytest.fixture
def loop(tmp_path: Path) -> Any:
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    with looping(tmp_path) as made:
        yield made


def released(loop: Loop, as_of: str) -> str:
    """Learn from all before a day, and bring it into production."""
    loop.as_of(as_of)
    loop.commit(f"Up to {as_of}")
    loop.build()
    version = loop.release()
    loop.promote(version, f"what was known on {as_of}")
    assert loop.live() == version[1:]
    return version


def fallen(loop: Loop) -> tuple[str, Any]:
    """Let the summer come, some days at a time, until the watch has taken the release back; return the day and its report."""
    day, length = SUMMER, 12
    while day < LATEST:
        loop.replay(day, days(day, length - 1), SHARE)
        day, length = days(day, length), 4
        look = loop.step("watch", "--env", "production", codes=(0, 4))
        if look["data"]["answer"] == "worse":  # one look is none: the next one decides
            return day, loop.step("watch", "--env", "production", codes=(6,))
    raise AssertionError(loop.told[-12:])


def test_quality_falls_and_production_mends_itself(loop: Loop) -> None:
    # given: v1 knows January, v2 January to April; the month after that judged each
    v1, v2 = released(loop, "2013-03-01"), released(loop, "2013-06-01")
    assert loop.step("watch", "--env", "production", codes=(0, 4))["data"]["answer"] == "not enough evidence"

    # when: the summer comes; then: the watch takes it back for its quality, and says so
    day, look = fallen(loop)
    assert (loop.live(), look["data"]["cause"]) == (v1[1:], "quality")
    assert "quality" in look["message"]
    assert "Brier score" in " ".join(check["message"] for check in look["checks"])

    # and: the trigger learns from newer data, once, however long the fault persists
    started = loop.step("retrain", "--env", "production", "--as-of", day)
    assert started["data"]["started"] is True
    v3 = loop.newest()
    assert v3 not in {v1, v2}
    for later in (1, 8, 30):
        again = loop.step("retrain", "--env", "production", "--as-of", days(day, later))
        assert (again["data"]["started"], loop.newest()) == (False, v3)

    # and: the gate had accepted it, the canary passes
    loop.commit(f"Up to {day}")
    loop.promote(v3, "learned anew")
    assert loop.live() == v3[1:]

    # and: on the flights that follow, production is better
    loop.replay(day, days(day, AFTER_DAYS), SHARE)
    asked = [row for row in labelled(loop.joined()) if row["version"] == v3[1:]]
    better = gain(asked, loop.scored(v2, asked))
    print(f"{v2} fell on {day}; {v3} on {len(asked):,} answers since: Brier better by {spelled(better)}")
    assert better.clusters >= AFTER_DAYS - 2
    assert better.low > 0
    last = loop.step("retrain", "--env", "production", "--as-of", days(day, AFTER_DAYS), codes=(0, 4))
    assert last["data"].get("started", False) is False
