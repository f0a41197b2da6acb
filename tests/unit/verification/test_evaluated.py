"""What a release's own bundle says of its quality, by each measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.adapters.monitoring.evaluated import Bundled
from ci.errors import BadInput
from ci.files import sha256, write_json
from tests.releases import release

WRONG = {"value": 0.2, "low": 0.18, "high": 0.22, "n": 900, "threshold": 0.4}
BRIER = {"value": 0.15, "low": 0.13, "high": 0.17}


@pytest.fixture
def bundle(tmp_path: Path) -> Any:
    def made(task: str, **evaluation: Any) -> Any:
        write_json(tmp_path / "manifest.json", {"task": task})
        write_json(tmp_path / "signature.json", {"task": task, "output": {"classes": ["a", "b", "c"]}})
        write_json(tmp_path / "evaluation.json", {"task": task, **evaluation})
        return release("1.1.0").model_copy(update={"bundle": sha256(tmp_path / "manifest.json")})

    return made


def test_each_measure_is_held_against_its_own_number(bundle, tmp_path) -> None:
    of = bundle("binary", wrong=WRONG, metrics={"brier": BRIER})
    wrong, brier = (Bundled([tmp_path], None, measure) for measure in ("wrong", "brier"))
    assert wrong.reference(of).share == 0.22
    assert (brier.reference(of).share, brier.reference(of).of) == (
        0.17,
        "its own evaluation (Brier score 0.1500, at most 0.1700)",
    )
    assert (wrong.answering(of).measure, brier.answering(of).measure) == ("wrong", "brier")
    assert brier.answering(of).cost(0.5, True) == 0.25


def test_of_several_classes_half_of_the_sum_counts(bundle, tmp_path) -> None:
    of = bundle("multiclass", metrics={"brier": {"value": 0.6, "low": 0.5, "high": 0.7}})
    assert Bundled([tmp_path], None, "brier").reference(of).share == 0.35
    assert Bundled([tmp_path], None, "brier").answering(of).cost([0, 0, 1], "a") == 1.0


def test_without_a_brier_score_nobody_knows_and_a_regression_has_none(bundle, tmp_path) -> None:
    assert Bundled([tmp_path], None, "brier").reference(bundle("binary", wrong=WRONG)) is None
    assert Bundled([tmp_path / "elsewhere"], None, "brier").reference(bundle("binary")) is None
    with pytest.raises(BadInput, match="answers no probabilities"):
        Bundled([tmp_path], 10.0, "brier").answering(bundle("regression"))
