"""The parity check: what a graph must not get away with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ci.model import bundle
from ci.report import Found

PROJECT: Any = SimpleNamespace(params=SimpleNamespace(train=SimpleNamespace(parity_tolerance=1e-5)))
WANTED = np.array([0.25, 0.5, 300_000.0])


def outcome(found: np.ndarray, wanted: np.ndarray = WANTED) -> Found:
    (check,) = bundle._parity(PROJECT, found, wanted)
    return check.outcome


def test_equal_answers_pass() -> None:
    assert outcome(WANTED.copy()) is Found.PASSED


def test_the_tolerance_is_relative_above_one_and_absolute_below() -> None:
    assert outcome(WANTED + np.array([0, 0, 2.9])) is Found.PASSED
    assert outcome(WANTED + np.array([0, 0, 3.1])) is Found.REJECTED
    assert outcome(WANTED + np.array([2e-5, 0, 0])) is Found.REJECTED


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_a_number_never_passes(wrong: float) -> None:
    found = WANTED.copy()
    found[1] = wrong
    assert outcome(found) is Found.REJECTED


def test_another_shape_is_rejected() -> None:
    assert outcome(WANTED[:2]) is Found.REJECTED


def test_an_answer_that_is_nan_alone_but_not_in_a_batch_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    class Alone:
        def __init__(self, *_arguments: Any) -> None:
            pass

        def score(self, frame: pd.DataFrame) -> np.ndarray:
            return np.array([np.nan if frame.index[0] == 7 else 0.5])

    monkeypatch.setattr(bundle, "Scorer", Alone)
    project: Any = SimpleNamespace(contract=None, params=PROJECT.params)
    (check,) = bundle._repeatable(project, None, pd.DataFrame({"a": range(25)}), np.full(25, 0.5))
    assert check.outcome is Found.REJECTED
