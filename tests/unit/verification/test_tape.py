"""Raw counters to windows: restarts, gaps, late series, servers that come and go; no data is not zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ci.verification.interface import BASELINE, CANARY, Reading, Sample, Seen
from ci.verification.tape import Tape
from ci.verification.windows import Grid, Windows, cut

EDGES = [0.0, 10.0, 20.0, 30.0]
GRID = Grid(0.0, 10.0, 1.0, 10.0)


def taped(values: dict[float, tuple[float, float | None]], arm: str = CANARY, instance: str = "one") -> Reading:
    samples = []
    for at, (total, bad) in values.items():
        samples.append(Sample("errors", arm, instance, "total", "t", at, total))
        if bad is not None:
            samples.append(Sample("errors", arm, instance, "bad", "b", at, bad))
    return Reading(samples, [Seen("errors", arm, instance, at) for at in values])


def counted(*readings: Reading, expected: dict[str, Sequence[str]] | None = None) -> tuple[Windows, int]:
    tape = Tape()
    for reading in readings:
        tape.add(reading)
        tape.add(reading)
    return cut(tape, GRID, EDGES, "errors", "events", expected or {CANARY: ()}, 0.5)


def values(windows: Windows, arm: str = CANARY) -> list[list[int]]:
    return windows.arms[arm].sum().tolist()


def test_increments_are_differences_of_raw_counters() -> None:
    windows, unusable = counted(taped({0: (100, 5), 10: (150, 6), 20: (150, 6), 30: (175, 9)}))
    assert values(windows) == [[1, 50], [0, 0], [3, 25]]
    assert unusable == 0


def test_restart_counts_what_was_counted_since() -> None:
    windows, _ = counted(taped({0: (100, 5), 10: (150, 6), 20: (30, 1), 30: (40, 1)}))
    assert values(windows) == [[1, 50], [1, 30], [0, 10]]


def test_series_that_appears_late_began_at_nought() -> None:
    windows, _ = counted(taped({0: (100, None), 10: (150, None), 20: (180, 4), 30: (190, 4)}))
    assert values(windows) == [[0, 50], [4, 30], [0, 10]]


def test_what_a_server_had_counted_before_we_looked_is_not_used() -> None:
    windows, _ = counted(taped({0: (1_000_000, 900), 10: (1_000_010, 900), 20: (1_000_020, 900), 30: (1_000_030, 901)}))
    assert values(windows) == [[0, 10], [0, 10], [1, 10]]


def test_gap_makes_windows_unusable_and_its_counts_are_not_used() -> None:
    windows, unusable = counted(taped({0: (100, 5), 10: (150, 6), 30.5: (500, 90)}))
    assert values(windows) == [[1, 50], [0, 0]]
    assert unusable == 1
    tape = Tape()
    tape.add(taped({0: (100, 5), 30: (500, 90)}))
    found, blind = cut(tape, GRID, EDGES, "errors", "events", {CANARY: ()}, 1.0)
    assert blind == 2
    assert values(found) == [[0, 0]]


def test_server_that_must_be_there_and_is_not_makes_windows_unusable() -> None:
    one = taped({0: (0, 0), 10: (9, 0), 20: (9, 0), 30: (9, 0)})
    windows, unusable = counted(one, expected={CANARY: ("one", "two")})
    assert (len(windows), unusable) == (0, 3)
    windows, unusable = counted(one, expected={BASELINE: (), CANARY: ()})
    assert (len(windows), unusable) == (0, 3)


def test_grid_closes_a_window_only_after_its_lag_and_leaves_out_the_first() -> None:
    assert GRID.edges(0, 20.5) == [10.0]
    assert GRID.edges(0, 21.0) == [10.0, 20.0]
    assert GRID.edges(2, 41.0) == [20.0, 30.0, 40.0]


def test_forgetting_the_past_changes_no_open_window() -> None:
    tape = Tape()
    tape.add(taped({0: (100, 5), 10: (150, 6), 20: (30, 1), 30: (40, 1)}))
    before = tape.increments("errors", CANARY, "one", [20.0, 30.0])
    tape.forget_before(20.0)
    assert {k: v.tolist() for k, v in tape.increments("errors", CANARY, "one", [20.0, 30.0]).items()} == {
        k: v.tolist() for k, v in before.items()
    }


def test_buckets_are_those_that_both_arms_have() -> None:
    tape = Tape()
    for arm, bounds in ((BASELINE, ("0.1", "0.5", "+Inf")), (CANARY, ("0.5", "0.7", "+Inf"))):
        for at in (0.0, 10.0, 20.0, 30.0):
            samples = [Sample("errors", arm, "i", le, le, at, at * (place + 1)) for place, le in enumerate(bounds)]
            tape.add(Reading(samples, [Seen("errors", arm, "i", at)]))
    windows, _ = cut(tape, GRID, EDGES, "errors", "distribution", {BASELINE: (), CANARY: ()}, 0.5)
    assert windows.cells == ("0.5", "+Inf")
    assert values(windows, BASELINE)[0] == [20, 10]
    assert values(windows)[0] == [10, 20]


def test_windows_survive_their_spelling() -> None:
    windows, _ = counted(taped({0: (100, 5), 10: (150, 6), 20: (150, 6), 30: (175, 9)}))
    again = Windows.from_json("errors", windows.as_json())
    assert again.as_json() == windows.as_json()
    assert np.array_equal(again.arms[CANARY].values, windows.arms[CANARY].values)
