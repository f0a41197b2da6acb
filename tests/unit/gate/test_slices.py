"""Slices: a regression somewhere is found, chance among many is not."""

from __future__ import annotations

import numpy as np

from ci.errors import Outcome
from ci.gate import Policy, judge
from ci.report import Found
from tests.unit.gate.test_judge import pair


def by_name(verdict):
    return {f"{item.column}={item.value}": item for item in verdict.slices}


def test_a_slice_that_got_worse_rejects_a_model_that_got_better():
    # per-slice regressions against the champion are asked for in deepchecks#1572 and answered by none
    y, ours, theirs = pair(12_000, gain=1.5)
    town = np.where(np.arange(12_000) % 8 == 0, "Ys", "Ker-Is")
    ours = np.where(town == "Ys", 1 - ours, ours)
    verdict = judge(y, ours, theirs, task="binary", slices={"town": town}, policy=Policy(primary="accuracy"))
    assert verdict.outcome is Outcome.REJECTED
    assert by_name(verdict)["town=Ys"].check.outcome is Found.REJECTED
    assert by_name(verdict)["town=Ker-Is"].check.outcome is Found.PASSED
    assert verdict.message.endswith("; worse in town=Ys")
    assert verdict.slices[0].value == "Ys"


def test_a_tiny_slice_never_vetoes():
    # a better model was vetoed by tiny slices in Solar-Forecast-ML#187
    y, ours, theirs = pair(6000, gain=1.5)
    where = np.where(np.arange(6000) < 150, "hamlet", "town")
    ours = np.where(where == "hamlet", 1 - ours, ours)
    verdict = judge(y, ours, theirs, task="binary", slices={"where": where})
    found = by_name(verdict)["where=hamlet"].check
    assert found.outcome is Found.SKIPPED
    assert found.message == "too small: 150 rows, 200 are needed"
    assert verdict.passed


def test_few_events_or_clusters_are_too_small():
    y, ours, theirs = pair(6000, gain=1.5)
    rare = (np.arange(6000) < 1000) & ((y == 0) | (np.arange(6000) < 20))
    days = np.arange(6000) % 40
    found = by_name(judge(y, ours, theirs, task="binary", slices={"rare": rare}, clusters=days))["rare=True"].check
    assert "rows of the rarer class" in found.message
    spring = days < 5
    found = by_name(judge(y, ours, theirs, task="binary", slices={"spring": spring}, clusters=days))[
        "spring=True"
    ].check
    assert found.message == "too small: 5 clusters, 10 are needed"


def test_an_underpowered_slice_is_told_and_does_not_veto():
    y, ours, theirs = pair(3000, gain=0.8)
    verdict = judge(y, ours, theirs, task="binary", slices={"tenth": np.arange(3000) % 10})
    told = [item.check for item in verdict.slices if "underpowered" in item.check.message]
    assert told
    assert {item.outcome for item in told} == {Found.SKIPPED}
    assert verdict.passed


def test_a_large_loss_in_an_underpowered_slice_does_veto():
    # ADR 0011: evidence is evidence, however blunt the instrument
    y, ours, theirs = pair(4000, gain=0.8)
    part = np.arange(4000) % 10
    verdict = judge(y, np.where(part == 3, 1 - ours, ours), theirs, task="binary", slices={"tenth": part})
    found = by_name(verdict)["tenth=3"].check
    assert found.extra["mde"] > 2 * found.extra["margin"]
    assert found.outcome is Found.REJECTED


def test_ten_thousand_values_are_fifty_and_the_rest():
    y, ours, theirs = pair(60_000, gain=0.8)
    rng = np.random.default_rng(0)
    codes = np.where(rng.random(60_000) < 0.5, rng.integers(0, 40, 60_000), rng.integers(0, 10_000, 60_000))
    verdict = judge(y, ours, theirs, task="binary", slices={"code": codes.astype(str)})
    assert len(verdict.slices) == 51
    rest = next(item for item in verdict.slices if item.value.startswith("(other: "))
    assert rest.n == 60_000 - sum(item.n for item in verdict.slices if item is not rest)


def test_missing_values_are_a_slice():
    y, ours, theirs = pair(2000, gain=0.8)
    values = np.where(np.arange(2000) % 2, "x", None)
    assert set(by_name(judge(y, ours, theirs, task="binary", slices={"a": values}))) == {"a=x", "a=(missing)"}


def test_damages_add_up_to_the_loss_of_a_mean():
    y, ours, theirs = pair(4000)
    policy = Policy(promote="non_inferior", reason="a test", slices={"metric": "brier"})
    verdict = judge(y, ours, theirs, task="binary", slices={"a": np.arange(4000) % 5}, policy=policy)
    assert np.isclose(sum(item.damage for item in verdict.slices), -verdict.metrics["brier"].gain.value)
    assert [item.damage for item in verdict.slices] == sorted((item.damage for item in verdict.slices), reverse=True)


def test_a_policy_without_slices_says_so():
    y, ours, theirs = pair(2000)
    verdict = judge(y, ours, theirs, task="binary", policy=Policy(slices={"columns": []}))
    (found,) = [item for item in verdict.checks if item.name == "slices"]
    assert found.outcome is Found.SKIPPED
