"""The features as a graph: traced once, run alike in training and serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ci.data.rows import conformed
from ci.errors import BadInput
from ci.model import encoding, graph
from tests import shop

SEEN = {"columns": {"seen": {"type": "datetime"}}}


def applied(root: Path, frame: pd.DataFrame, features: Any = None) -> pd.DataFrame:
    project = shop.shop(root, contract=SEEN, **({"features": features} if features else {}))
    return graph.trace(project).apply(encoding.encode(conformed(frame, project.contract), project.contract))


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [30, 41],
            "spent": [1.5, None],
            "town": ["York", "Köln"],
            "member": [True, False],
            "seen": ["1970-01-01T06:30:00", "2024-12-31"],
        }
    )


def test_by_default_columns_pass_and_a_moment_becomes_its_parts(tmp_path: Path) -> None:
    made = applied(tmp_path, frame())
    assert list(made.columns) == ["age", "spent", "town", "member", "seen_hour", "seen_weekday", "seen_yearday"]
    assert made["seen_hour"].tolist() == [6.5, 0]
    assert made["seen_weekday"].tolist() == [3, 1]  # a Thursday and a Tuesday
    assert made["town"].tolist() == ["York", "Köln"]
    assert np.isnan(made["spent"][1])


def test_own_features_are_computed_by_the_graph(tmp_path: Path) -> None:
    def features(rows: dict[str, Any]) -> dict[str, Any]:
        return {"dog_years": rows["age"] * 7, "town": rows["town"]}

    made = applied(tmp_path, frame(), features)
    assert made["dog_years"].tolist() == [210, 287]
    assert list(made.columns) == ["dog_years", "town"]


def test_a_graph_travels_between_processes_as_it_is(tmp_path: Path) -> None:
    made = graph.trace(shop.shop(tmp_path, contract=SEEN))
    again = graph.FeatureGraph.of_bytes(made.to_bytes())
    assert again.model == made.model
    assert list(again.kinds.items()) == list(made.kinds.items())


def branching(rows: dict[str, Any]) -> dict[str, Any]:
    return {"x": rows["age"] if rows["age"][0] > 3 else rows["spent"]}


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (lambda rows: {"x": rows["agee"]}, r"features\.py: features cannot become a graph \(KeyError: 'agee'\)"),
        (branching, r"features\.py: features cannot become a graph"),
        (lambda rows: {"x": 3}, r"features\.py: features cannot become a graph"),
        (lambda rows: None, r"features\.py: features cannot become a graph"),
        (lambda rows: {}, r"features\.py: features returned no columns"),
    ],
)
def test_what_is_no_graph_is_bad_input(tmp_path: Path, features: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        applied(tmp_path, frame(), features)


def test_an_estimator_that_cannot_be_exported_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="^estimator: cannot be exported to ONNX"):
        graph.converted(object(), graph.trace(shop.shop(tmp_path)))
