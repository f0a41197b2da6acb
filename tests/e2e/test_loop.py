"""
The loop that labels close, on real flights, without a person.

Given two releases, the second live in production, and a collection service that hears of its answers,
when its quality falls in replayed months and labels tell of that a day later,
then the watch takes it back, the trigger learns from newer data, once, the gate accepts, the canary passes, and
production answers no worse than the release that fell would have, on the same flights; both measures are printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ci.adapters.envoy import binary
from ci.errors import BadInput
from tests.e2e.collection import ROOT
from tests.e2e.loop import Loop, days, looping

WANTED = "SLIPWAY_LOOP"  # set it to run this: it learns three models, and takes some minutes
SHARE = float(os.environ.get("SLIPWAY_LOOP_SHARE", "0.15"))  # of flights that production is asked about

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("flights"),
    pytest.mark.skipif(not os.environ.get(WANTED), reason=f"takes minutes: set {WANTED}=1 to run it"),
]


@pytest.fixture
def loop(tmp_path: Path) -> Any:
    if not (ROOT / "artifacts/flights/manifest.json").is_file():
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    with looping(tmp_path) as made:
        yield made


def test_quality_falls_and_production_mends_itself(loop: Loop) -> None:
    # given: v1 knows January to June, v2 knows October, and October was kind
    v1 = loop.release()
    loop.promote(v1, "the first")
    loop.as_of("2013-11-01")
    loop.commit("Up to October")
    loop.build()
    v2 = loop.release()
    loop.promote(v2, "with October")
    assert loop.live() == v2[1:]

    # when: December comes, some days at a time, and labels a day later
    assert loop.step("watch", "--env", "production", codes=(0, 4))["data"]["answer"] == "not enough evidence"
    day, looks = "2013-12-01", []
    while day < "2013-12-25" and (not looks or looks[-1]["code"] != 6):
        loop.replay(day, days(day, 3), SHARE)
        day = days(day, 4)
        looks.append(loop.step("watch", "--env", "production", codes=(0, 4)))
        if looks[-1]["data"]["answer"] == "worse":  # one look is none: the next one decides
            looks.append(loop.step("watch", "--env", "production", codes=(6,)))
    # then: the watch takes it back for its quality, and says so
    assert looks[-1]["code"] == 6, loop.told[-6:]
    assert (loop.live(), looks[-1]["data"]["cause"]) == (v1[1:], "quality")
    assert "quality" in looks[-1]["message"]

    # and: the trigger learns from newer data, once
    started = loop.step("retrain", "--env", "production", "--as-of", day)
    assert started["data"]["started"] is True
    v3 = loop.newest()
    assert v3 not in {v1, v2}
    again = loop.step("retrain", "--env", "production", "--as-of", days(day, 1))
    assert (again["data"]["started"], loop.newest()) == (False, v3)

    # and: the gate had accepted it, the canary passes, and production is better
    loop.commit(f"Up to {day}")
    loop.promote(v3, "learned anew")
    assert loop.live() == v3[1:]
    loop.replay(day, "2013-12-31", max(SHARE, 0.2))
    rows = loop.joined()
    asked = [row for row in rows if row["version"] == v3[1:] and row["target"] is not None]
    target, now = (np.array([float(row[key]) for row in asked]) for key in ("target", "predicted"))
    before = loop.scored(v2, asked)
    wrong, brier = ([float(x.mean()) for x in found] for found in (
        [(now >= 0.5) != target, (before >= 0.5) != target], [(now - target) ** 2, (before - target) ** 2],
    ))  # fmt: skip
    print(
        f"from {day} on, {len(asked)} answers: wrong {wrong[0]:.4f}, {v2} {wrong[1]:.4f}; Brier {brier[0]:.4f}, {v2} {brier[1]:.4f}"
    )
    assert len(asked) > 100
    # Ten days of December cannot show a gain; that it is no loss beyond the gate's own margin they can.
    assert wrong[0] < wrong[1] + 0.01
    last = loop.step("retrain", "--env", "production", "--as-of", "2014-01-01", codes=(0, 4))
    assert last["data"].get("started", False) is False
