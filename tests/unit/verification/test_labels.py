"""Quality from delayed labels: which answers are wrong, which days count, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ci.errors import BadInput
from ci.params_verification import Collector, Rule, Verification
from ci.rollout.interface import Answer, Arm, Question
from ci.verification.blocks import Days, Newest
from ci.verification.evidence import replay
from ci.verification.interface import BASELINE, CANARY
from ci.verification.judge import Judge
from ci.verification.labels import Answering, Cohort, Counted, ripe
from ci.verification.plan import plan, rules_of
from ci.verification.reference import Reference
from ci.verification.sequential import crossed
from ci.verification.verify import Looking, Verify
from tests.releases import release

FIRST = date(2013, 7, 1)
OFFLINE = Reference(of="its own evaluation", share=0.25)


def cohorts(shares: Any, n: int = 900, labelled: float = 0.97) -> list[Cohort]:
    seen = int(n * labelled)
    return [Cohort(FIRST + timedelta(days=place), n, seen, round(share * seen)) for place, share in enumerate(shares)]


def counted(days: int, **arms: list[Cohort]) -> Counted:
    """Everything up to the end of so many days has arrived, and so have the labels of all but the last."""
    end = datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=days)
    return Counted(end, 1, arms)


@pytest.mark.parametrize(
    ("answering", "predicted", "target", "wrong"),
    [
        (Answering("binary"), 0.5, True, False),
        (Answering("binary"), 0.49, 1, True),
        (Answering("binary", threshold=0.3), 0.4, False, True),
        (Answering("binary"), 0.7, None, None),
        (Answering("binary"), None, True, None),
        (Answering("binary"), float("nan"), True, None),
        (Answering("binary"), "much", True, None),
        (Answering("multiclass", classes=("a", "b")), [0.4, 0.6], "b", False),
        (Answering("multiclass", classes=("a", "b")), [0.6, 0.4], "b", True),
        (Answering("multiclass", classes=("1", "2")), [0.6, 0.4], 1, False),
        (Answering("multiclass", classes=("a", "b")), [], "b", None),
        (Answering("multiclass", classes=("a",)), [0.1, 0.9], "b", None),
        (Answering("regression", tolerance=10.0), 100, 110, False),
        (Answering("regression", tolerance=10.0), 100, 110.5, True),
        (Answering("regression"), 100, 110.5, None),
    ],
)
def test_an_answer_is_told_right_from_wrong(answering, predicted, target, wrong) -> None:
    assert answering.wrong(predicted, target) is wrong


@pytest.mark.parametrize(
    ("task", "classes", "predicted", "target", "cost"),
    [
        ("binary", (), 0.8, True, 0.04),
        ("binary", (), 0.8, 0, 0.64),
        ("binary", (), 1.0, False, 1.0),
        ("binary", (), 0.8, None, None),
        ("binary", (), None, True, None),
        ("binary", (), 3.0, True, None),
        ("binary", (), float("nan"), True, None),
        ("binary", (), "much", True, None),
        ("multiclass", ("a", "b"), [0.2, 0.8], "b", 0.04),
        ("multiclass", ("a", "b", "c"), [0.2, 0.3, 0.5], "c", 0.19),
        ("multiclass", ("a", "b"), [0.2, 0.3, 0.5], "b", None),
        ("regression", (), 0.8, 1.0, None),
    ],
)
def test_a_probability_costs_its_squared_error(task, classes, predicted, target, cost) -> None:
    found = Answering(task, classes=classes, measure="brier").cost(predicted, target)
    assert found == (None if cost is None else pytest.approx(cost, abs=1e-12))


def test_a_decision_costs_all_or_nothing() -> None:
    assert [Answering("binary").cost(p, True) for p in (0.8, 0.2, None)] == [0.0, 1.0, None]


def test_only_days_older_than_the_horizon_count_and_of_them_those_with_enough_labels() -> None:
    days = cohorts([0.2] * 6)
    days[1] = replace(days[1], labelled=300, wrong=60)  # a third of its labels: a strike, a storm, who knows
    days[2] = replace(days[2], predictions=12, labelled=12, wrong=2)
    found = ripe("quality", counted(6, canary=days), Collector())
    starts = [datetime.fromtimestamp(at, UTC).date() - FIRST for at in found.windows.starts]
    assert [gone.days for gone in starts] == [0, 3, 4]
    assert found.told == "3 days with labels, 1 wait for theirs, 2 have too few"
    nobody = ripe("quality", replace(counted(6, canary=days), watermark=None), Collector())
    assert len(nobody.windows) == 0
    assert len(ripe("quality", counted(6, canary=cohorts([0.2] * 30)), Collector(days=7)).windows) <= 7


def judged(shares: Any, rule: Rule | None = None, reference: Reference | None = OFFLINE) -> Any:
    rule = rule or rules_of(Verification())["quality"]
    made = Judge({"quality": rule}, Verification(), {"quality": reference} if reference else {})
    days = cohorts(shares)
    made.add(ripe("quality", counted(len(days) + 1, canary=days), Collector()).windows)
    return made.judged()


def stormy(mean: float, days: int, seed: int = 0) -> np.ndarray:
    """Daily shares as flights have them: the mean, and storms of a day or two."""
    noise = np.random.default_rng(seed).normal(0, 0.08, days)
    return np.clip(mean + noise + 0.3 * np.roll(noise, 1), 0, 1)


def test_a_release_that_keeps_its_quality_is_pending_first_and_then_not_worse() -> None:
    assert judged(stormy(0.2, 3)).answer is Answer.NOT_ENOUGH
    found = judged(stormy(0.2, 28))
    assert found.answer is Answer.NOT_WORSE
    assert "held against its own evaluation" in found.checks[0].message


def test_a_release_that_loses_it_is_worse_although_it_was_well_for_months() -> None:
    well = stormy(0.2, 90)
    found = judged(np.concatenate([well, stormy(0.45, 25, seed=1)]))
    assert (found.answer, found.standings[0].not_worse_at) == (Answer.WORSE, None)
    assert found.standings[0].worse_at > datetime(2013, 9, 29, tzinfo=UTC).timestamp()
    assert judged(well).answer is Answer.NOT_WORSE


def test_one_storm_decides_nothing() -> None:
    shares = [0.2] * 10
    shares[5] = 1.0
    assert judged(shares).answer is Answer.NOT_ENOUGH
    assert judged([1.0]).answer is Answer.NOT_ENOUGH


def test_a_limit_of_the_policy_goes_before_the_evaluation_and_without_either_nobody_can_say() -> None:
    shares, rule = stormy(0.2, 40), rules_of(Verification())["quality"]
    assert judged(shares, rule.model_copy(update={"limit": 0.1})).answer is Answer.WORSE
    assert judged(shares, reference=None).answer is Answer.NOT_ENOUGH


def test_against_a_concurrent_baseline_a_verdict_survives_leaving_out_any_day() -> None:
    rule = Rule(kind="quality", source="collector", negligible=None)

    def against(canary: Any) -> Any:
        made = Judge({"quality": rule}, Verification(sample_ratio=False))
        arms = {BASELINE: cohorts([0.2] * len(canary)), CANARY: cohorts(canary, n=300)}
        made.add(ripe("quality", counted(len(canary) + 1, **arms), Collector()).windows)
        return made.judged()

    assert against([0.3] * 12).answer is Answer.WORSE
    one = against([0.9] + [0.2] * 4)
    assert one.answer is Answer.NOT_ENOUGH
    assert "only because of 2013-07-01" in one.message


def test_evidence_of_days_is_the_same_in_parts_and_whole_and_is_not_changed_by_what_comes_later() -> None:
    n, bad = np.full(60, 100), (stormy(0.3, 60) * 100).astype(int)
    whole, parts = Days(0.25, above=True, watchful=True), Days(0.25, above=True, watchful=True)
    whole.add(n, bad)
    for start in range(0, 60, 7):
        parts.add(n[start : start + 7], bad[start : start + 7])
    assert (whole.log_e == parts.log_e).all()
    first = Days(0.25, above=True, watchful=True)
    first.add(n[:20], bad[:20])
    assert first.log_e == pytest.approx(whole.log_e[:20], abs=1e-12)
    newest = Newest(0.25, above=False, days=28)
    newest.add(n, bad)
    assert (newest.log_e[:32] == 0).all()
    assert len(newest.log_e) == 60


@pytest.mark.parametrize("watchful", [True, False])
@pytest.mark.parametrize("above", [True, False])
def test_equal_days_cross_at_most_alpha_of_the_time_however_dependent_the_answers_of_a_day_are(above, watchful) -> None:
    draw, crossings, runs = np.random.default_rng(7), 0, 200
    for _ in range(runs):
        share = draw.beta(0.5, 1.5, 90)  # mean a quarter, and days of all or nothing
        evidence = Days(0.25, above=above, watchful=watchful)
        evidence.add(np.full(90, 50), draw.binomial(50, share))
        crossings += crossed(evidence, 0.05) is not None
    assert crossings / runs <= 0.05 + 2 * 0.0154


BRIER = Rule(kind="quality", source="collector", against="limit", margin=0.5, measure="brier")


def squared(costs: Any, reference: Reference, n: int = 300) -> Any:
    """Judge days by their mean squared error, as labels come from a service."""
    made = Judge({"quality": BRIER}, Verification(), {"quality": reference})
    days = [Cohort(FIRST + timedelta(days=k), n, n, float(cost) * n) for k, cost in enumerate(costs)]
    made.add(ripe("quality", replace(counted(len(days) + 1, canary=days), measure="brier"), Collector()).windows)
    return made.judged()


def test_a_model_that_promises_too_much_is_found_by_its_squared_error_alone() -> None:
    draw = np.random.default_rng(3)
    late = draw.random((96, 300)) < 0.15
    costs = np.concatenate([((0.15 - late[:56]) ** 2).mean(axis=1), ((0.45 - late[56:]) ** 2).mean(axis=1)])
    offline = Reference(of="its own evaluation", share=0.14)  # a constant .15 has .1275; a constant .45 has .2175
    assert squared(costs[:56], offline).answer is Answer.NOT_WORSE
    fallen = squared(costs, offline)
    assert fallen.answer is Answer.WORSE
    assert fallen.standings[0].canary == (pytest.approx(costs.sum() * 300, abs=1e-3), 28_800)
    wrong = judged(late.mean(axis=1), reference=Reference(of="its own evaluation", share=0.17))
    assert wrong.answer is not Answer.WORSE  # both say "on time" of every flight


def test_equal_squared_errors_are_called_worse_at_most_alpha_of_the_time() -> None:
    draw, runs = np.random.default_rng(11), 150
    at_most = squared([0.2], Reference(of="x", share=0.2)).checks[0].limit
    worse = 0
    for _ in range(runs):  # the mean of a day is where worse begins, exactly; storms make a day a third of the scale
        mean = at_most * 1.1 / (1 + at_most * 0.1)
        costs = np.clip(mean + 0.4 * (draw.beta(0.6, 1.8, 60) - 0.25), 0, 1)
        worse += squared(costs, Reference(of="x", share=at_most)).answer is Answer.WORSE
    assert worse / runs <= 0.05 + 2 * 0.0178


def test_squared_errors_replay_to_the_bit_and_their_rule_asks_for_no_baseline() -> None:
    verify = looked([Cohort(FIRST + timedelta(days=k), 90, 90, 90 * 0.31 + k / 7) for k in range(20)],
                    metrics={"quality": {"measure": "brier"}})  # fmt: skip
    labels = verify.looking.labels
    assert labels is not None
    asked = labels(question()).count(question(), [CANARY])
    verify.looking.labels = lambda _: type("Brier", (), {"count": lambda *_: replace(asked, measure="brier")})()
    verdict = verify.verify(question())
    kept = verify.looking.evidence["windows"]["quality"]
    assert (kept["cells"], kept["arms"][CANARY]["values"][1][0]) == (["millionths", "all"], [28_042_857, 90])
    assert verdict.message.endswith(replay(verify.looking.evidence, "evidence")[0].message)
    for metrics, told in (
        ({"errors": {"measure": "brier"}}, "belongs to the standard metric quality"),
        ({"quality": {"measure": "log_loss"}}, "wrong"),
    ):
        with pytest.raises(ValueError, match=told):
            Verification.model_validate({"metrics": metrics})
    against = Verification.model_validate({"metrics": {"quality": {"measure": "brier", "against": "baseline"}}})
    with pytest.raises(BadInput, match="not to a baseline"):
        rules_of(against)


def question(*, baseline: bool = False) -> Question:
    arm = Arm(release("1.1.0"), "flights-v1-1-0", ["10.0.0.1:80"])
    old = Arm(release("1.0.0"), "flights-v1-0-0", ["10.0.0.2:80"]) if baseline else None
    return Question("flights", "here", arm, old, 100 if not baseline else 50, "2027-01-15T08:00:00+00:00", "", "")


class Service:
    def __init__(self, days: list[Cohort]) -> None:
        self.days = days

    def count(self, question: Question, arms: Any) -> Counted:
        return counted(len(self.days) + 1, **dict.fromkeys(arms, self.days))


class Clock:
    at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def looked(days: list[Cohort], **policy: Any) -> Verify:
    given = {"standard": ["quality"], "collector": {"url": "http://labels"}, "deadline_s": 300, **policy}
    looking = Looking(
        lambda _: {}, Clock(), lambda _: None, references=lambda _: {"quality": OFFLINE}, labels=lambda _: Service(days)
    )
    return Verify(Verification.model_validate(given), looking)


@pytest.mark.parametrize(
    ("mean", "days", "answer"),
    [(0.2, 40, Answer.NOT_WORSE), (0.5, 20, Answer.WORSE), (0.2, 2, Answer.NOT_ENOUGH), (0.2, 0, Answer.NOT_ENOUGH)],
)
def test_a_look_asks_for_labels_once_waits_for_none_and_replays(mean, days, answer) -> None:
    verify = looked(cohorts(stormy(mean, days)))
    verdict = verify.verify(question())
    assert verdict.answer is answer, verdict.message
    assert verify.looking.clock.now() - Clock.at < 5
    again, _ = replay(verify.looking.evidence, "evidence")
    assert verdict.message.endswith(again.message)
    if answer is Answer.NOT_ENOUGH:
        assert verdict.message.startswith(f"quality is pending ({days} days with labels")


def test_in_a_rollout_nobody_waits_for_labels_and_without_a_service_nobody_asks() -> None:
    policy = Verification.model_validate({"collector": {"url": "http://labels"}})
    assert "quality" not in plan(question(baseline=True), policy)[0]
    rules, wanted = plan(question(), policy)
    assert [query.arm for query in wanted.by_source["collector"]] == [CANARY]
    assert rules["quality"].critical
    told = plan(question(), Verification())[1].skipped
    assert told["quality"] == "no collection service is named (verification.collector)"
    against = Verification.model_validate(
        {"collector": {"url": "http://labels"}, "metrics": {"quality": {"against": "baseline"}}}
    )
    queries = plan(question(baseline=True), against)[1].by_source["collector"]
    assert [query.arm for query in queries] == [CANARY, BASELINE]
