"""How good, how sure, and for whom worse: metrics with intervals, slices, clusters, leaks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from ci.errors import BadInput, Outcome
from ci.files import read_json, sha256
from ci.model import evaluate
from tests import shop
from tests.unit.model.conftest import Workshop

if TYPE_CHECKING:
    from ci.report import Result


@pytest.fixture(scope="module")
def evaluated(workshop: Workshop) -> Result:
    return workshop.evaluate()


def test_metrics_come_with_intervals_around_them(workshop: Workshop, evaluated: Result) -> None:
    found = read_json(workshop.root / "evaluation" / "evaluation.json")
    assert evaluated.outcome is Outcome.PASSED
    assert set(found["metrics"]) == {"auc", "log_loss", "brier", "accuracy", "f1"}
    assert all(metric["low"] < metric["value"] < metric["high"] for metric in found["metrics"].values())
    assert found["primary"] == "auc"
    assert found["model_sha256"] == sha256(workshop.model)


def test_days_are_the_clusters(workshop: Workshop, evaluated: Result) -> None:
    found = read_json(workshop.root / "evaluation" / "evaluation.json")
    assert (found["cluster"], found["clusters"], found["rows"]) == ("day", 30, 300)


def test_every_slice_is_there_the_largest_first(workshop: Workshop, evaluated: Result) -> None:
    found = read_json(workshop.root / "evaluation" / "evaluation.json")["slices"]
    assert {item["slice"] for item in found} == set(shop.TOWNS)
    assert [item["rows"] for item in found] == sorted((item["rows"] for item in found), reverse=True)
    assert sum(item["rows"] for item in found) == 300


def test_dvc_gets_flat_metrics_and_plots(workshop: Workshop, evaluated: Result) -> None:
    folder = workshop.root / "evaluation"
    assert set(read_json(folder / "metrics.json")["auc"]) == {"value", "low", "high"}
    assert {"x", "predicted"} & set(pd.read_csv(folder / "calibration.csv").columns) == {"predicted"}
    assert all(picture.path.read_bytes()[:4] == b"\x89PNG" for picture in evaluated.pictures)


def test_a_metric_that_does_not_fit_is_bad_input(workshop: Workshop, tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    shutil.copytree(workshop.model.parent, tmp_path / "model")
    object.__setattr__(made, "project", shop.shop(tmp_path, params={"evaluate": {"metrics": ["mea"]}}))
    with pytest.raises(BadInput, match="mea"):
        made.evaluate()
    assert not (tmp_path / "evaluation").exists()


def test_slices_put_the_rare_ones_together() -> None:
    series = pd.Series(["a"] * 5 + ["b"] * 3 + ["c", "d", None])
    found = {name: int(where.sum()) for name, where in evaluate.slices_of(series, 2)}
    assert found == {"a": 5, "b": 3, "(other: 3 values)": 3}


def test_clusters_are_days_or_a_column() -> None:
    frame = pd.DataFrame(
        {"at": pd.to_datetime(["2024-01-01T01", "2024-01-01T23", "2024-01-03T00"]), "town": ["x", "y", "x"]}
    )
    days = evaluate.cluster_codes(frame, shop.contract())
    towns = evaluate.cluster_codes(frame, shop.contract(cluster="town"))
    assert days is not None
    assert towns is not None
    assert (list(days), list(towns)) == ([0, 0, 1], [0, 1, 0])
    assert evaluate.cluster_codes(frame, shop.contract(cluster=None)) is None


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.74391, 0.71, 0.78, "0.7439 [0.7100, 0.7800]"),
        (123456.7, 120000.0, 130000.0, "123,457 [120,000, 130,000]"),
        (0.5, 0.5, 0.5, "0.5000 [0.5000, 0.5000]"),
    ],
)
def test_a_metric_is_spelled_as_exactly_as_its_interval_allows(
    value: float, low: float, high: float, said: str
) -> None:
    assert evaluate.in_words({"value": value, "low": low, "high": high}) == said


def test_a_feature_that_does_what_the_model_does_is_a_leak(workshop: Workshop, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    made = Workshop(tmp_path)
    test = pd.concat([made.test] * 10, ignore_index=True)
    scores = evaluate.Scorer(workshop.model, made.project.contract).score(test)
    # what comes back is what the model says of a row, and age alone says much the same
    test["back"] = draw.random(len(test)) < 1 / (1 + np.exp(-(test["age"] - 54) / 8))
    test.to_parquet(made.prepared / "test.parquet")
    shutil.copytree(workshop.model.parent, tmp_path / "model")
    result = made.evaluate()
    assert len(scores) == len(test)
    assert result.outcome is Outcome.REJECTED
    assert "age" in result.message
    assert not (tmp_path / "evaluation").exists()
