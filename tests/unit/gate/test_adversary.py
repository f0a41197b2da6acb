"""Whatever two models answer, the gate ends with a verdict or with bad input, and never with a promotion by accident."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.errors import BadInput, Outcome
from ci.gate import Policy, judge

TASKS = ("binary", "multiclass", "regression", "ranking")
QUICK = settings(max_examples=25, deadline=None, derandomize=True)
WILD = [np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -0.0, 1.0, 0.0, 0.5]


def answers(task, n, rng, kind, y):
    """Draw answers that no honest model would give, beside those that one would."""
    shape = (n, 3) if task == "multiclass" else (n,)
    made = {
        "constant": lambda: np.full(shape, 1 / 3 if task == "multiclass" else 0.5),
        "random": lambda: rng.dirichlet([1, 1, 1], n) if task == "multiclass" else rng.random(n),
        "ties": lambda: np.eye(3)[rng.integers(0, 3, n)] if task == "multiclass" else rng.integers(0, 2, n) * 1.0,
        "right": lambda: np.eye(3)[y.astype(int)] if task == "multiclass" else y * 1.0,
        "huge": lambda: rng.choice([1e300, -1e300], shape),
        "tiny": lambda: np.full(shape, 5e-324),
        "wild": lambda: np.where(rng.random(shape) < 0.02, rng.choice(WILD, shape), 0.3),
    }
    return made[kind]()


def targets(task, n, rng):
    y = rng.normal(size=n) if task == "regression" else rng.integers(0, 3 if task == "multiclass" else 2, n)
    y[:3] = [0, 1, 2] if task == "multiclass" else [0, 1, 0]
    return y.astype(float)


KINDS = st.sampled_from(["constant", "random", "ties", "right", "huge", "tiny", "wild"])
GIVEN = {
    "n": st.integers(4, 400),
    "seed": st.integers(0, 10_000),
    "ours": KINDS,
    "theirs": KINDS,
    "groups": st.sampled_from([0, 1, 2, 9, 30]),
}
LENIENT = Policy(min_rows=30, min_clusters=3, slices={"min_rows": 30, "min_events": 5})


def ask(task, y, ours, theirs, clusters=None, rows=None, **more):
    """Judge, with all warnings of numpy as errors: they would end on somebody's terminal."""
    rows = np.arange(len(y)) if rows is None else rows
    parts = {"clusters": clusters, "slices": {"third": np.arange(len(y)) % 3}}
    taken = {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in parts.items()}
    taken["slices"] = {"third": parts["slices"]["third"][rows]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return judge(
            y[rows], ours[rows], None if theirs is None else theirs[rows], task=task, policy=LENIENT, **taken, **more
        )


@pytest.mark.parametrize("task", TASKS)
@given(**GIVEN)
@QUICK
def test_a_verdict_or_bad_input_and_nothing_that_is_no_number_passes(task, n, seed, ours, theirs, groups):
    rng = np.random.default_rng(seed)
    y = targets(task, n, rng)
    a, b = (answers(task, n, rng, kind, y) for kind in (ours, theirs))
    clusters = rng.integers(0, groups, n) if groups else None
    for champion in (b, None):
        try:
            verdict = ask(task, y, a, champion, clusters)
        except BadInput:
            continue
        if not np.isfinite(a).all():
            assert verdict.outcome is Outcome.REJECTED
        if champion is not None and not np.isfinite(b).all():
            assert not verdict.passed
        if n < 30 or (groups and len(set(clusters.tolist())) < 3):
            assert not verdict.passed, "too little evidence for anything"
        for check in verdict.checks:
            figures = [check.observed, *(check.interval or ())]
            assert all(np.isfinite(x) for x in figures if isinstance(x, float)), check


@pytest.mark.parametrize("task", TASKS)
@given(**GIVEN)
@QUICK
def test_swapping_the_models_turns_every_gain_around_and_never_promotes_both(task, n, seed, ours, theirs, groups):
    rng = np.random.default_rng(seed)
    y = targets(task, n, rng)
    a, b = (answers(task, n, rng, kind, y) for kind in (ours, theirs))
    clusters = rng.integers(0, groups, n) if groups else None
    try:
        there, back = ask(task, y, a, b, clusters), ask(task, y, b, a, clusters)
    except BadInput:
        return
    assert not (there.passed and back.passed)
    for name in set(there.metrics) & set(back.metrics):
        one, other = there.metrics[name].gain, back.metrics[name].gain
        if one is not None and other is not None:
            assert one.value == pytest.approx(-other.value, rel=1e-9, abs=1e-12)
            assert one.se == pytest.approx(other.se, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("task", TASKS)
@given(n=st.integers(60, 400), seed=st.integers(0, 10_000), groups=st.sampled_from([0, 12, 30]))
@QUICK
def test_the_order_of_rows_and_the_names_of_clusters_are_nothing(task, n, seed, groups):
    rng = np.random.default_rng(seed)
    y = targets(task, n, rng)
    a, b = (answers(task, n, rng, "random", y) for _ in range(2))
    a, b = 0.6 * a + 0.4 * answers(task, n, rng, "right", y), 0.9 * b + 0.1 * answers(task, n, rng, "right", y)
    clusters, order = (rng.integers(0, groups, n) if groups else None), rng.permutation(n)
    named = None if clusters is None else np.array([f"day {(7 * c) % 31}" for c in clusters])
    first, second = ask(task, y, a, b, clusters), ask(task, y, a, b, named, rows=order)
    assert first.outcome is second.outcome
    assert {c.name: c.outcome for c in first.checks} == {c.name: c.outcome for c in second.checks}
    for name, measured in first.metrics.items():
        assert measured.gain.value == pytest.approx(second.metrics[name].gain.value, rel=1e-9, abs=1e-12)
        assert measured.gain.se == pytest.approx(second.metrics[name].gain.se, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
@given(n=st.integers(60, 400), seed=st.integers(0, 10_000), flips=st.integers(0, 3))
@QUICK
def test_a_copy_of_the_champion_with_a_hair_changed_is_never_promoted(task, n, seed, flips):
    # the smallest change that makes another bundle: no gain worth a name, whatever the chance
    rng = np.random.default_rng(seed)
    y = targets(task, n, rng)
    champion = answers(task, n, rng, "random", y)
    copy = champion.copy()
    at = rng.integers(0, n, flips)
    copy[at] = copy[at][:, ::-1] if copy.ndim == 2 else copy[at] * (1 - 1e-12)
    verdict = ask(task, y, copy, champion)
    assert not verdict.passed
