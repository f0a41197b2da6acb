"""A chain of releases, each not worse than the one before, must not give away a margin each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ci.adapters.comparisons import FolderComparisons
from ci.errors import BadInput, Outcome
from ci.gate import Policy, judge
from ci.gate.anchor import recorded
from ci.gate.budget import AnchorAt
from ci.gate.champion import Champion
from ci.gate.gate import gate
from ci.model.bundles import Bundle
from ci.report import Found
from tests.unit.gate import toy
from tests.unit.gate.test_budget import comparison
from tests.unit.gate.test_judge import check, pair

LENIENT = "promote: non_inferior, reason: fresher data, metrics: {auc: {margin: 0.02}, log_loss: {margin: 0.06}, brier: {margin: 0.03}}"


class Folders:
    """Finds bundles by folder, and remembers which it was asked for."""

    def __init__(self):
        self.asked = []

    def find(self, project, wanted):
        from pathlib import Path

        self.asked.append(wanted)
        return Champion(Path(wanted), wanted, at=wanted)


class History:
    """Releases of one project, one after the other, all on the same rows."""

    def __init__(self, root, gate_policy=LENIENT):
        self.root, self.store, self.finder = (
            toy.checkout(root, gate=f"{{{gate_policy}}}"),
            FolderComparisons(root / "l"),
            Folders(),
        )

    def bundle(self, name, weights, **options):
        return toy.bundle(self.root / name, weights, **options)

    def judge(self, challenger, champion, *, live=True, anchor=None):
        at = Champion(champion, champion.name, at=str(champion), live=live)
        work = replace(toy.workplace(self.root, self.store), champions=self.finder, anchor=anchor)
        return gate(toy.project(self.root), challenger, at, work)


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    monkeypatch.setattr("ci.gate.gate.plots.draw", lambda *_: [])


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "w")


# each answers a little worse than the one before, within the margin
CHAIN = [(1.5, 0.8), (1.5, 0.45), (1.5, 0.2), (1.5, 0.0)]


def test_each_step_is_within_the_margin_but_the_chain_is_stopped_at_the_anchor(history):
    first, second, third, _ = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN))
    one = history.judge(second, first)
    assert one.outcome is Outcome.PASSED, one.message
    assert one.data["anchor"] == Bundle(first).digest
    two = history.judge(third, second)
    found = {item.name: item for item in two.checks}
    assert found["not worse auc"].outcome is Found.PASSED
    assert found["anchor auc"].outcome is not Found.PASSED
    assert two.outcome is not Outcome.PASSED
    assert two.message.startswith("anchor auc: since the anchor: ")
    assert two.data["anchor"] == Bundle(first).digest
    assert history.finder.asked == [str(first)]


def test_without_an_anchor_the_same_chain_gives_away_a_margin_each_time(tmp_path):
    history = History(tmp_path / "w", f"{LENIENT}, anchor_margins: null")
    first, second, third, _ = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN))
    history.judge(second, first)
    found = history.judge(third, second)
    assert found.outcome is Outcome.PASSED, found.message
    assert {item.name: item.outcome for item in found.checks}["anchor"] is Found.SKIPPED


def test_a_release_that_beats_the_anchor_is_the_next_one(history):
    poor, good, less = (
        history.bundle(n, w) for n, w in (("poor", (0.3, 0.8)), ("good", (1.5, 0.8)), ("less", (1.5, 0.45)))
    )
    assert history.judge(good, poor).data["anchor"] == Bundle(good).digest
    after = history.judge(less, good)
    assert not [item for item in after.checks if item.name.startswith("anchor")], "the champion is its own anchor"
    assert after.data["anchor"] == Bundle(good).digest


def test_an_experiment_beside_the_releases_does_not_move_the_anchor(history):
    first, second, third, poor = (
        history.bundle(n, w) for n, w in (("a", CHAIN[0]), ("b", CHAIN[1]), ("c", CHAIN[2]), ("p", (0.1, -0.3)))
    )
    history.judge(second, first)
    assert history.judge(second, poor, live=False).data["anchor"] == Bundle(second).digest
    assert history.judge(third, second).message.startswith("anchor auc: ")


def test_going_back_to_the_anchor_loses_nothing_and_keeps_it(history):
    first, second = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN[:2]))
    history.judge(second, first)
    back = history.judge(first, second)
    assert not [item for item in back.checks if item.name.startswith("anchor")]
    assert back.data["anchor"] == Bundle(first).digest


def test_an_anchor_that_is_gone_is_for_a_person_to_say(history):
    first, second, third, _ = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN))
    history.judge(second, first)
    first.rename(first.with_name("moved"))
    lost = history.judge(third, second)
    assert lost.outcome is Outcome.INCONCLUSIVE
    assert "cannot be had" in lost.message
    assert "--anchor names it, or says none" in lost.message
    named = history.judge(third, second, anchor=str(first.with_name("moved")))
    assert named.message.startswith("anchor auc: since the anchor: ")
    none = history.judge(third, second, anchor="none")
    assert none.outcome is Outcome.PASSED
    assert {item.name: item.outcome for item in none.checks}["anchor"] is Found.WARNED


def test_another_bundle_at_the_place_of_the_anchor_is_not_taken_for_it(history):
    first, second, third, fourth = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN))
    history.judge(second, first)
    first.rename(first.with_name("moved"))
    fourth.rename(first)  # a weak bundle, under which nothing could be lost
    lost = history.judge(third, second)
    assert lost.outcome is Outcome.INCONCLUSIVE
    assert "holds another bundle" in lost.message


def test_a_named_anchor_that_is_no_bundle_is_bad_input(history):
    first, second = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN[:2]))
    with pytest.raises(BadInput, match="not a bundle"):
        history.judge(second, first, anchor=str(history.root / "nowhere"))


@pytest.mark.parametrize(
    ("unusable", "outcome"), [("inconclusive", Found.INCONCLUSIVE), ("first_release", Found.WARNED)]
)
def test_an_anchor_that_cannot_score_is_told(tmp_path, unusable, outcome):
    history = History(tmp_path / "w", f"{LENIENT}, champion_unusable: {unusable}")
    stranger = history.bundle("stranger", (1.0, 1.0), numbers=("x1", "gone"))
    first, second = (history.bundle(f"b{i}", w) for i, w in enumerate(CHAIN[:2]))
    found = {item.name: item for item in history.judge(second, first, anchor=str(stranger)).checks}["anchor"]
    assert found.outcome is outcome
    assert "the rows have no column gone" in found.message


def test_passed_verdicts_on_live_champions_are_remembered_first():
    def line(outcome, live, judged, digest):
        at = AnchorAt(digest=digest * 64, at=digest)
        return comparison(1, outcome=outcome, live=live, judged=judged, anchor=at)

    past = [
        line("passed", True, "2024-01-01", "a"),
        line("passed", False, "2024-03-01", "b"),
        line("rejected", True, "2024-02-01", "c"),
    ]
    assert recorded(past) == ("a" * 64, "a")
    assert recorded(past[1:]) == ("b" * 64, "b")
    assert recorded(past[2:]) == ("c" * 64, "c")
    assert recorded([comparison(1)]) is None


def test_the_judge_takes_an_anchor_as_values():
    y, ours, theirs = pair(40_000, noise=0.3, gain=-0.01, seed=2)
    strong = np.clip(0.75 * theirs + 0.25 * y, 0.001, 0.999)  # knows a quarter of the truth
    policy = Policy(promote="non_inferior", reason="a test", anchor_margins=2)
    alone, held = (judge(y, ours, theirs, anchor=anchor, task="binary", policy=policy) for anchor in (None, strong))
    assert alone.outcome is Outcome.PASSED
    assert held.outcome is Outcome.REJECTED
    found = check(held, "anchor auc")
    assert found.limit == pytest.approx(-0.01)
    assert found.extra["champion"] > found.extra["challenger"]
    assert held.beats_anchor is False


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_anchor_that_answers_no_number_is_no_pass(bad):
    y, ours, theirs = pair(4000, gain=1.5)
    broken = theirs.copy()
    broken[3] = bad
    verdict = judge(y, ours, theirs, anchor=broken, task="binary")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert check(verdict, "anchor").observed == 1
    assert verdict.beats_anchor is False


def given_away(*, anchored, seed, steps=12, rows=10_000):
    """Let each challenger be worse than its champion by .6 margins, each test period a new one; return the loss."""
    policy = Policy(
        promote="non_inferior", reason="a simulation", primary="mse",
        metrics={"mse": {"margin": 0.05}, "mae": {"margin": 9.0}, "rmse": {"margin": 9.0}},
    )  # fmt: skip
    rng, variance = np.random.default_rng(seed), 1.0
    for _ in range(steps):
        y, shared = 3 * rng.normal(size=rows), rng.normal(size=rows)
        own = rng.normal(size=(3, rows))
        ours, theirs, anchor = (
            y + np.sqrt(size) * (0.98 * shared + 0.2 * noise)
            for size, noise in zip((variance + 0.03, variance, 1.0), own, strict=True)
        )
        held = anchor if anchored and variance > 1 else None
        variance += 0.03 if judge(y, ours, theirs, anchor=held, task="regression", policy=policy).passed else 0.0
    return variance - 1


@pytest.mark.slow
def test_a_chain_of_givers_ends_within_the_margin_of_its_anchor():
    free, held = ([given_away(anchored=anchored, seed=seed) for seed in range(8)] for anchored in (False, True))
    assert np.mean(free) > 0.2  # four margins, and it goes on
    assert max(held) < 0.05  # a single margin, at whose end it stands still
    assert min(held) > 0  # what costs less than the margin is not forbidden
