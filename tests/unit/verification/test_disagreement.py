"""A shadow's answers beside the live release's: what differs, and when that is too much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ci.params_verification import Verification
from ci.rollout.interface import Answer, Arm, Question
from ci.rollout.pairs import Answered, Pair
from ci.verification.disagreement import PairsProvider, differs
from ci.verification.labels import Answering
from ci.verification.plan import plan
from ci.verification.verify import Looking, Verify
from tests.releases import release

NOW = 1_800_000_000.0
BINARY, PRICE = Answering("binary"), Answering("regression", tolerance=10.0)


def pair(ours: Any, theirs: Any, status: int = 200, request: str = "r") -> Pair:
    def said(name: str, answer: Any, code: int) -> Answered:
        return Answered(name, datetime.now(UTC).isoformat(), code, None if answer is None else [answer])

    return Pair(request, said("flights@1.0.0", ours, 200), said("flights@1.1.0", theirs, status))


@pytest.mark.parametrize(
    ("ours", "theirs", "answering", "apart"),
    [
        (0.4, 0.49, BINARY, False),
        (0.49, 0.51, BINARY, True),
        (0.1, 0.4, Answering("binary", tolerance=0.2), True),
        ([0.2, 0.8], [0.4, 0.6], Answering("multiclass", classes=("a", "b")), False),
        ([0.2, 0.8], [0.6, 0.4], Answering("multiclass", classes=("a", "b")), True),
        ([0.2, 0.8], [0.2, 0.3, 0.5], Answering("multiclass"), True),
        (100, 109, PRICE, False),
        (100, 111, PRICE, True),
        (100, float("nan"), PRICE, True),
        (100, 111, Answering("regression"), None),
        (100, 111, Answering("unknown"), None),
    ],
)
def test_two_answers_are_compared(ours, theirs, answering, apart) -> None:
    assert differs(pair(ours, theirs), answering) is apart


def test_a_shadow_that_fails_where_the_live_release_answers_differs_and_what_was_not_kept_says_nothing() -> None:
    assert differs(pair(0.4, None, status=500), BINARY) is True
    assert differs(pair(0.4, None), BINARY) is None
    more = pair(0.4, 0.4)
    twice = Pair("r", more.baseline, Answered("x", more.shadow.at, 200, [0.4, 0.4]))
    assert differs(twice, BINARY) is True


@dataclass
class Mirror:
    """Ten pairs a second, of which a share differs; it tells the newest hundred, again and again."""

    clock: Any
    share: float
    asked: int = 0

    def since(self, moment: datetime) -> Any:
        self.asked += 1
        until = int((self.clock.at - NOW) * 10)
        for n in range(max(0, until - 100), until):
            far = (n * 7919) % 1000 < self.share * 1000
            yield pair(0.4, 0.9 if far else 0.41, request=str(n))


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def question(shadow: str = "0badcafe") -> Question:
    arms = [Arm(release(v), f"flights-v{v}", ["10.0.0.1:80"]) for v in ("1.1.0", "1.0.0")]
    return Question("flights", "here", arms[0], arms[1], 0, "2027-01-15T08:00:00+00:00", "", "", 1.0, shadow)


@pytest.mark.parametrize(("share", "answer"), [(0.05, Answer.NOT_WORSE), (0.5, Answer.WORSE), (0.2, Answer.NOT_ENOUGH)])
def test_disagreement_is_held_to_its_limit_although_there_is_a_baseline(share, answer) -> None:
    clock = Clock()
    given = {"standard": ["disagreement"], "window_s": 1, "lag_s": 0, "stale_s": 2, "deadline_s": 60,
             "metrics": {"disagreement": {"required": True}}}  # fmt: skip
    provider = PairsProvider(Mirror(clock, share), BINARY)
    verify = Verify(Verification.model_validate(given), Looking(lambda _: {"pairs": provider}, clock, lambda _: None))
    verdict = verify.verify(question())
    assert verdict.answer is answer, verdict.message
    (check,) = verdict.checks
    assert check.limit == 0.2
    assert check.n <= (clock.at - NOW) * 10


def test_without_a_shadow_there_are_no_pairs_to_ask_for() -> None:
    assert plan(question(""), Verification())[1].skipped["disagreement"] == "no shadow runs"
    assert "disagreement" in plan(question(), Verification())[0]


def test_what_envoy_counts_says_nothing_of_a_shadow() -> None:
    asked = replace(question(), admin="http://127.0.0.1:9901")
    rules, wanted = plan(asked, Verification())
    assert wanted.skipped["door_errors"] == "Envoy does not count copies of requests"
    assert "errors" in rules, "its servers do"
    assert "door_errors" in plan(replace(asked, shadow=""), Verification())[0]
