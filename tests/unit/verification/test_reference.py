"""A lone release held against what was recorded of the one before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ci.params_verification import Rule, Verification
from ci.rollout.interface import Answer, Arm, Question
from ci.verification.evidence import replay
from ci.verification.interface import CANARY
from ci.verification.judge import Judge
from ci.verification.plan import plan
from ci.verification.reference import Reference, recorded
from ci.verification.verify import Looking, Verify
from ci.verification.windows import Counts, Windows
from tests.releases import release

BUCKETS = ("0.25", "0.5", "0.75", "+Inf")
DRAW = np.random.default_rng(4)


def windows(metric: str, values: Any, cells: tuple[str, ...] = ("bad", "all"), start: float = 0.0) -> Windows:
    made = np.asarray(values)[:, None, :]
    starts = start + np.arange(len(made), dtype=float)
    return Windows(metric, 1.0, starts, cells, {CANARY: Counts(("a",), made)}, np.ones(len(made)))


def errors(rate: float, n: int = 100, count: int = 100) -> Any:
    return np.stack([DRAW.binomial(n, rate, count), np.full(count, n)], axis=1)


def scores(*shares: float, count: int = 60) -> Any:
    return DRAW.multinomial(200, shares, count)


def question(version: str = "1.1.0") -> Question:
    arm = Arm(release(version), f"flights-v{version}", ["10.0.0.1:80"])
    return Question("flights", "here", arm, None, 100, "2027-01-15T08:00:00+00:00", "", "")


def document(version: str, answer: str = "not worse", start: float = 0.0, place: str = "here") -> dict[str, Any]:
    found = {"errors": windows("errors", errors(0.02), start=start),
             "scores": windows("scores", scores(0.4, 0.3, 0.2, 0.1), BUCKETS, start)}  # fmt: skip
    return {
        "question": {"project": "flights", "environment": place, "arms": {CANARY: {"release": f"flights@v{version}"}}},
        "windows": {name: item.as_json() for name, item in found.items()},
        "verdict": {"answer": answer},
    }


def test_the_newest_good_record_of_another_release_in_the_same_place_is_the_predecessors() -> None:
    files = [
        ("old.json", document("0.9.0", start=0)),
        ("new.json", document("1.0.0", start=1000)),
        ("bad.json", document("1.0.1", "worse", start=2000)),
        ("own.json", document("1.1.0", start=3000)),
        ("elsewhere.json", document("1.0.5", start=4000, place="there")),
    ]
    found = recorded(question(), files)
    assert set(found) == {"errors", "scores"}
    assert found["errors"].of == "flights@v1.0.0 as recorded in new.json"
    assert found["errors"].counts[1] == 10_000
    assert recorded(question(), files[2:]) == {}


def test_a_recorded_rate_is_an_upper_end_and_wider_the_less_there_is() -> None:
    much = Reference(of="x", cells=("bad", "all"), counts=(200, 10_000)).upper()
    little = Reference(of="x", cells=("bad", "all"), counts=(2, 100)).upper()
    assert 0.02 < much < 0.03 < little
    assert Reference(of="x", cells=("bad", "all"), counts=(0, 0)).upper() is None
    assert Reference(of="x", cells=BUCKETS, counts=(1, 2, 3, 4)).upper() is None
    assert Reference(of="x", cells=BUCKETS, counts=(1, 2, 3, 4)).above(("0.5", "+Inf")) == []


RECORD = {
    "errors": Reference(of="flights@v1.0.0 as recorded in new.json", cells=("bad", "all"), counts=(200, 10_000)),
    "scores": Reference(of="flights@v1.0.0 as recorded in new.json", cells=BUCKETS, counts=(4000, 3000, 2000, 1000)),
}
RULES = {"errors": Rule(), "scores": Rule(kind="distribution", allowed_increase=1.0, margin=2.0)}


@pytest.mark.parametrize(
    ("rate", "shares", "answer", "metric"),
    [
        (0.02, (0.4, 0.3, 0.2, 0.1), Answer.NOT_WORSE, ""),
        (0.08, (0.4, 0.3, 0.2, 0.1), Answer.WORSE, "errors"),
        (0.02, (0.0, 1.0, 0.0, 0.0), Answer.WORSE, "scores"),
        (0.02, (0.1, 0.2, 0.3, 0.4), Answer.WORSE, "scores"),
    ],
)
def test_a_release_is_judged_by_its_predecessors_record(rate, shares, answer, metric) -> None:
    made = Judge(RULES, Verification(), RECORD)
    made.add(windows("errors", errors(rate)))
    made.add(windows("scores", scores(*shares), BUCKETS))
    found = made.judged()
    assert found.answer is answer, found.message
    assert not metric or found.message.startswith(f"worse in {metric}")
    assert all("held against flights@v1.0.0" in check.message for check in found.checks)


def test_the_policy_asks_for_a_record_and_without_one_the_limits_hold() -> None:
    rules, wanted = plan(question(), Verification(standard=["errors", "scores"]), RECORD)
    assert set(rules) == {"errors", "scores"}
    rules, wanted = plan(question(), Verification(standard=["errors", "scores"]))
    assert set(rules) == {"errors"}
    assert "no limit is set" in wanted.skipped["scores"]


class Clock:
    at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_the_record_is_kept_with_the_verdict_which_replays() -> None:
    class Nobody:
        def read(self, queries: Any, since: float, until: float) -> Any:
            from ci.verification.interface import Reading, Sample, Seen

            n = int((until - Clock.at) * 100)
            samples = [Sample(q.metric, q.arm, "a", cell, cell, until, n // 50 if cell == "bad" else n)
                       for q in queries for cell in q.cells]  # fmt: skip
            return Reading(samples, [Seen(q.metric, q.arm, "a", until) for q in queries])

    policy = Verification.model_validate(
        {"standard": ["errors"], "window_s": 1, "lag_s": 0, "stale_s": 2, "deadline_s": 200, "source": "prometheus",
         "prometheus": {"url": "http://x"}, "alone": "predecessor"}
    )  # fmt: skip
    looking = Looking(lambda _: {"prometheus": Nobody()}, Clock(), lambda _: None, references=lambda _: RECORD)
    verify = Verify(policy, looking)
    verdict = verify.verify(question())
    assert verdict.answer is Answer.NOT_WORSE, verdict.message
    assert looking.evidence["references"]["errors"]["counts"] == [200, 10_000]
    again, judge = replay(looking.evidence, "evidence")
    assert (again.answer, again.message) == (verdict.answer, verdict.message)
    assert judge is not None
    assert judge.references["errors"] == RECORD["errors"]
