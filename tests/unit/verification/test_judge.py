"""From windows to an answer, by the policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ci.errors import BadInput
from ci.params_verification import Rule, Verification
from ci.rollout.interface import Answer
from ci.verification.interface import BASELINE, CANARY
from ci.verification.judge import Judge
from ci.verification.plan import selector
from ci.verification.verify import spelled
from ci.verification.windows import Counts, Windows

EVENTS = ("bad", "all")


def windows(metric: str, a: Any, b: Any, cells: tuple[str, ...] = EVENTS, weight: float = 0.1) -> Windows:
    """Windows of a second; `a` and `b` have shape (n_windows, n_instances, n_cells), `a` may be None."""
    arms = {} if a is None else {BASELINE: np.asarray(a)}
    arms[CANARY] = np.asarray(b)
    starts = np.arange(len(arms[CANARY]), dtype=float)
    found = {arm: Counts(tuple(f"{arm}-{n}" for n in range(v.shape[1])), v) for arm, v in arms.items()}
    return Windows(metric, 1.0, starts, cells, found, np.full(len(starts), weight))


def drawn(rate: float, n: int, count: int = 200, instances: int = 1, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    total = draw.poisson(n, (count, instances))
    return np.stack([draw.binomial(total, rate), total], axis=2)


def judge(**rules: Rule) -> Judge:
    return Judge(rules, Verification())


def test_equal_arms_are_shown_not_to_be_worse() -> None:
    made = judge(errors=Rule(negligible=0.02))
    made.add(windows("errors", drawn(0.005, 450), drawn(0.005, 50, seed=1)))
    assert made.judged().answer is Answer.NOT_WORSE


def test_worse_arm_is_called_worse_and_named() -> None:
    made = judge(errors=Rule(), slow=Rule(required=False))
    made.add(windows("errors", drawn(0.005, 450), drawn(0.005, 50, seed=1)))
    made.add(windows("slow", drawn(0.01, 450), drawn(0.08, 50, seed=2)))
    found = made.judged()
    assert found.answer is Answer.WORSE
    assert found.message.startswith("worse in slow")


def test_no_windows_or_empty_ones_are_not_enough() -> None:
    made = judge(errors=Rule())
    assert made.judged().answer is Answer.NOT_ENOUGH
    made.add(windows("errors", np.zeros((50, 1, 2), int), np.zeros((50, 1, 2), int)))
    assert made.judged().answer is Answer.NOT_ENOUGH


def test_one_blind_required_metric_holds_everything() -> None:
    made = judge(errors=Rule(negligible=0.02), slow=Rule(negligible=0.02))
    made.add(windows("errors", drawn(0.001, 450), drawn(0.001, 50, seed=1)))
    found = made.judged()
    assert found.answer is Answer.NOT_ENOUGH
    assert "no data on slow" in found.message


def test_alpha_is_split_over_critical_metrics() -> None:
    made = Judge({"a": Rule(share=3), "b": Rule(share=1), "c": Rule(critical=False)}, Verification(alpha=0.04))
    assert [round(item.alpha, 6) for item in list(made.metrics.values())[:2]] == [0.03, 0.01]


def test_one_sick_server_is_named_and_does_not_roll_back() -> None:
    good = drawn(0.002, 20, instances=3, seed=1)
    good[:, 1, 0] = np.minimum(good[:, 1, 1], 5)
    made = judge(errors=Rule())
    made.add(windows("errors", drawn(0.002, 150, instances=3), good, weight=0.118))
    found = made.judged()
    assert found.answer is Answer.NOT_ENOUGH
    assert "canary-1" in found.message


def test_wrong_split_of_traffic_is_invalid_and_a_right_one_is_not() -> None:
    for weight, answer in ((0.1, Answer.NOT_WORSE), (0.5, Answer.INVALID)):
        made = judge(errors=Rule(negligible=0.02))
        made.add(windows("errors", drawn(0.001, 450), drawn(0.001, 50, seed=1), weight=weight))
        assert made.judged().answer is answer


def test_complaint_makes_it_invalid_whatever_the_counts_say() -> None:
    made = judge(errors=Rule(negligible=0.02))
    made.add(windows("errors", drawn(0.001, 450), drawn(0.001, 50, seed=1)))
    found = made.judged(["prometheus: its clock is 60 s behind ours"])
    assert (found.answer, found.message) == (Answer.INVALID, "prometheus: its clock is 60 s behind ours")


def scores(shares: list[float], n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(n, shares, (60, 1))


def test_constant_answers_are_worse_and_equal_ones_are_not() -> None:
    rule = Rule(kind="distribution", allowed_increase=1.0, margin=2.0, negligible=0.05)
    cells, even = ("0.25", "0.5", "0.75", "+Inf"), [0.25] * 4
    made = judge(scores=rule)
    made.add(windows("scores", scores(even, 90, 0), scores([0, 1, 0, 0], 10, 1), cells))
    assert made.judged().answer is Answer.WORSE
    made = judge(scores=rule)
    made.add(windows("scores", scores(even, 400, 0), scores(even, 400, 1), cells))
    assert made.judged().answer is Answer.NOT_WORSE


def test_counts_without_exposures_are_held_against_the_share_of_traffic() -> None:
    for rate, answer in ((10, Answer.WORSE), (1, Answer.NOT_WORSE)):
        draw = np.random.default_rng(3)
        made = judge(alarms=Rule(kind="counts"))
        counts = draw.poisson(9, (300, 1, 1)), draw.poisson(rate, (300, 1, 1))
        made.add(windows("alarms", *counts, cells=("bad",)))
        assert made.judged().answer is answer


@pytest.mark.parametrize(
    ("rate", "answer"), [(0.001, Answer.NOT_WORSE), (0.05, Answer.WORSE), (0.01, Answer.NOT_ENOUGH)]
)
def test_lone_release_is_held_to_its_limit(rate: float, answer: Answer) -> None:
    made = judge(errors=Rule(limit=0.01))
    made.add(windows("errors", None, drawn(rate, 50, count=60), weight=1.0))
    assert made.judged().answer is answer


def test_verdict_depends_on_the_windows_and_not_on_the_looks() -> None:
    whole, a, b = judge(errors=Rule()), drawn(0.005, 450), drawn(0.02, 50, seed=1)
    whole.add(windows("errors", a, b))
    looked = judge(errors=Rule())
    full = windows("errors", a, b)
    for start in range(0, 200, 7):
        part = slice(start, start + 7)
        arms = {arm: Counts(c.instances, c.values[part]) for arm, c in full.arms.items()}
        looked.add(Windows("errors", 1.0, full.starts[part], EVENTS, arms, full.weights[part]))
        looked.judged()
    assert spelled(looked.judged()) == spelled(whole.judged())


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"metrics": {"mine": {"kind": "events", "bad": "x"}}}, "takes bad and total"),
        ({"metrics": {"errors": {"margin": 0.05}}}, "margin must be above"),
        ({"source": "prometheus"}, "prometheus.url: missing"),
        ({"stale_s": 1}, "no window ever counts"),
        ({"metrics": {"errors": {"critical": False, "required": False}}}, "can never matter"),
    ],
)
def test_policy_that_cannot_work_is_refused(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Verification.model_validate(section)


def test_selectors_are_read_and_broken_ones_refused() -> None:
    assert str(selector('a_total{b="c", d=~"e|f"}', "metrics.x")) == 'a_total{b="c",d=~"e|f"}'
    for broken in ("sum(a)", 'a{b="c"', "a{b=c}", 'a{b=~"("}'):
        with pytest.raises(BadInput, match=r"metrics\.x"):
            selector(broken, "metrics.x")
