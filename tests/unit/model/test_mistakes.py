"""How often a model is plainly wrong: by class, by a tolerance of its own, with the clusters' uncertainty."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ci.contract import Task
from ci.model.mistakes import wrong

DRAW = np.random.default_rng(2)


def scored(task: Task, y: Any, scores: Any, clusters: Any = None) -> Any:
    return SimpleNamespace(
        contract=SimpleNamespace(task=task), y=np.asarray(y), scores=np.asarray(scores), clusters=clusters
    )


def test_binary_answers_are_wrong_on_the_other_side_of_the_threshold() -> None:
    y = np.tile([0, 1], 200)
    found = wrong(scored(Task.BINARY, y, np.where(y == 1, 0.4, 0.1)), level=0.95, threshold=0.5)
    assert (found["value"], found["threshold"]) == (pytest.approx(0.5), 0.5)
    kinder = wrong(scored(Task.BINARY, y, np.where(y == 1, 0.4, 0.1)), level=0.95, threshold=0.3)
    assert kinder["value"] == pytest.approx(0)
    assert found["low"] < 0.5 < found["high"]


def test_classes_are_wrong_if_another_is_likelier() -> None:
    y = DRAW.integers(0, 3, 300)
    scores = np.eye(3)[np.where(np.arange(300) % 4 == 0, (y + 1) % 3, y)]
    assert wrong(scored(Task.MULTICLASS, y, scores), level=0.95, threshold=0.5)["value"] == pytest.approx(0.25)


def test_a_regression_is_wrong_beyond_nine_of_ten_of_its_errors() -> None:
    y = DRAW.normal(0, 10, 1000)
    found = wrong(scored(Task.REGRESSION, y, np.zeros(1000)), level=0.95, threshold=0.5)
    assert found["value"] == pytest.approx(0.1, abs=0.002)
    assert found["tolerance"] == pytest.approx(np.quantile(np.abs(y), 0.9))


def test_clusters_make_it_less_sure_and_a_ranking_has_no_wrong_answers() -> None:
    y = np.ones(1000, int)
    scores = np.repeat(DRAW.random(20) > 0.3, 50).astype(float)
    alone = wrong(scored(Task.BINARY, y, scores), level=0.95, threshold=0.5)
    together = wrong(scored(Task.BINARY, y, scores, np.repeat(np.arange(20), 50)), level=0.95, threshold=0.5)
    assert together["high"] - together["low"] > 3 * (alone["high"] - alone["low"])
    assert wrong(scored(Task.RANKING, y, scores), level=0.95, threshold=0.5) == {}
