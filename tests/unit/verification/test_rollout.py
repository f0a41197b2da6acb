"""What a rollout may ask: one alpha over all its questions, nothing at full weight, no pass without traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ci.params_environments import Strategy
from ci.params_verification import Rule, Verification
from ci.releases.record import Release
from ci.rollout.interface import Answer, Arm, Question, Verdict
from ci.rollout.strategies import spent_by, stages
from ci.verification.deciding import FirstOfAll
from ci.verification.interface import BASELINE, CANARY, Query, Reading, Sample, Seen
from ci.verification.judge import Judge
from ci.verification.verify import Looking, Verify, replay
from ci.verification.windows import Counts, Windows
from tests.releases import release

NOW = 1_800_000_000.0


def question(weight: float = 50, *, baseline: bool = True, spends: float = 1.0) -> Question:
    def arm(version: str) -> Arm:
        found: Release = release(version)
        return Arm(found, f"flights-v{version.replace('.', '-')}", [f"10.0.0.{version[2]}:80"])

    since = "2027-01-15T08:00:00+00:00"  # NOW
    return Question("flights", "here", arm("1.1.0"), arm("1.0.0") if baseline else None, weight, since, "", "", spends)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Counters:
    """Servers that count so many requests a second, of which a share is bad."""

    def __init__(self, clock: Clock, rate: float, bad: float = 0.0) -> None:
        self.clock, self.rate, self.bad = clock, rate, bad
        self.queries: list[Query] = []

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:
        self.queries = list(queries)
        at, n = self.clock.now(), int((self.clock.now() - NOW) * self.rate)
        samples = [Sample(q.metric, q.arm, address, cell, cell, at, int(n * self.bad) if cell == "bad" else n)
                   for q in queries for address in q.instances for cell in q.cells]  # fmt: skip
        return Reading(samples, [Seen(q.metric, q.arm, address, at) for q in queries for address in q.instances])


def looked(asked: Question, rate: float, bad: float = 0.0, **policy: Any) -> tuple[Verdict, Verify, Counters, Clock]:
    clock = Clock()
    counters = Counters(clock, rate, bad)
    given = {"standard": ["errors"], "window_s": 1, "lag_s": 0, "stale_s": 2, "deadline_s": 90, **policy}
    looking = Looking(lambda _: {"servers": counters}, clock, lambda _: None)
    verify = Verify(Verification.model_validate(given), looking)
    return verify.verify(asked), verify, counters, clock


def test_however_often_a_rollout_asks_its_parts_never_exceed_the_whole() -> None:
    assert [spent_by(k) for k in (1, 2, 3)] == pytest.approx([1 / 2, 1 / 6, 1 / 12])
    assert sum(spent_by(k) for k in range(1, 10_001)) < 1


def test_the_evidence_holds_the_alpha_that_was_spent_and_replays_with_it() -> None:
    verdict, verify, _, _ = looked(question(spends=1 / 6), 100)
    assert verdict.answer is Answer.NOT_WORSE
    assert verify.looking.evidence["policy"]["alpha"] == pytest.approx(0.05 / 6)
    assert replay(verify.looking.evidence, "evidence")[0].answer is Answer.NOT_WORSE


@pytest.mark.slow
def test_a_good_release_is_rolled_back_at_most_alpha_of_the_time_over_all_stages() -> None:
    draw, runs, back, naive = np.random.default_rng(1), 60, 0, 0
    for _ in range(runs):
        for number in range(1, 9):
            n = draw.poisson(100, (40, 2))
            y = draw.binomial(n, 0.02)
            made = Windows("errors", 1.0, np.arange(40.0), ("bad", "all"), {
                BASELINE: Counts(("a",), np.stack([y[:, 0], n[:, 0]], axis=1)[:, None, :]),
                CANARY: Counts(("b",), np.stack([y[:, 1], n[:, 1]], axis=1)[:, None, :]),
            }, np.full(40, 0.5))  # fmt: skip
            rule = {"errors": Rule(allowed_increase=0.0)}
            found = []
            for part in (spent_by(number), 1.0):
                judge = Judge(rule, Verification(alpha=0.2 * part, sample_ratio=False))
                judge.add(made)
                found.append(judge.judged().answer is Answer.WORSE)
            naive += found[1]
            if found[0]:
                back += 1
                break
    assert back <= runs * 0.2  # of eight questions, each with all of alpha, far more say "worse"
    assert naive > back


def test_full_weight_is_not_asked_about_unless_it_is_declared() -> None:
    declared = Strategy.model_validate({"kind": "canary", "steps": [{"weight": 10}, {"weight": 100}]})
    implied = Strategy.model_validate({"kind": "canary", "steps": [{"weight": 10}, {"weight": 50}]})
    asked = {name: [(s.weight, s.ask) for s in stages(how, 2, first=False)] for name, how in {"declared": declared, "implied": implied}.items()}  # fmt: skip
    assert asked == {
        "declared": [(10, True), (100, True)], "implied": [(10, True), (50, True), (100, False)],
    }  # fmt: skip
    assert [s.ask for s in stages(Strategy(kind="rolling"), 3, first=False)] == [True, True, False]
    assert [s.ask for s in stages(Strategy(kind="rolling"), 1, first=False)] == [True]
    assert [s.ask for s in stages(Strategy(kind="blue_green"), 2, first=False)] == [True]


@pytest.mark.parametrize(("bad", "answer"), [(0.0, Answer.NOT_WORSE), (0.05, Answer.WORSE)])
def test_at_full_weight_a_release_is_held_to_its_limits(bad: float, answer: Answer) -> None:
    verdict, _, counters, _ = looked(question(100), 100, bad)
    assert verdict.answer is answer, verdict.message
    assert {query.arm for query in counters.queries} == {CANARY}


def test_without_traffic_nobody_waits_for_the_deadline_and_nothing_passes() -> None:
    verdict, verify, _, clock = looked(question(), 0.01, idle_s=30)
    assert verdict.answer is Answer.NOT_ENOUGH
    assert verdict.message.startswith("no traffic within 30 s: ")
    assert 30 <= clock.at - NOW < 40
    assert replay(verify.looking.evidence, "evidence")[0].answer is Answer.NOT_ENOUGH


def test_little_traffic_is_waited_for() -> None:
    verdict, _, _, clock = looked(question(), 1.0, idle_s=30)
    assert clock.at - NOW >= 90
    assert verdict.answer is Answer.NOT_ENOUGH


def test_the_first_release_of_all_is_asked_for_its_health() -> None:
    class Says:
        def __init__(self, name: str) -> None:
            self.name = name

        def verify(self, question: Question) -> Verdict:
            return Verdict(Answer.NOT_WORSE, self.name)

    both = FirstOfAll(Says("health"), Says("statistics"))
    assert both.verify(question(baseline=False)).message == "health"
    assert both.verify(question()).message == "statistics"
