"""Samples that several tests of the statistics share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest


class Case(NamedTuple):
    y: np.ndarray
    challenger: np.ndarray
    champion: np.ndarray


def make_case(task: str, n: int = 600, seed: int = 7) -> Case:
    """Make two correlated models on n rows; classification scores are probabilities with ties."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.normal(3, 1, n)
        return Case(y, y + rng.normal(0.05, 0.5, n), y + rng.normal(0.1, 0.6, n))
    if task == "multiclass":
        y = rng.integers(0, 3, n)
        logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[y]
        both = (np.exp(logits), np.exp(logits + rng.normal(0, 0.7, (n, 3))))
        return Case(y, *(odds / odds.sum(axis=1, keepdims=True) for odds in both))
    y = (rng.random(n) < 0.3).astype(int)
    logit = rng.normal(size=n) + 1.5 * y - 1
    both = (1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-logit - rng.normal(0, 0.7, n))))
    return Case(y, *(p.round(2) for p in both))


@pytest.fixture
def binary() -> Case:
    return make_case("binary")


@pytest.fixture
def multiclass() -> Case:
    return make_case("multiclass")


@pytest.fixture
def regression() -> Case:
    return make_case("regression")
