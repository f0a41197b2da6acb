"""What the stages make of columns that real files have: names, gaps, features without a value, luck on few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ci.contract import Column, Contract, Task, Type
from ci.data.rows import cast, type_of
from ci.errors import BadInput
from ci.model import encoding, graph
from ci.model.estimators import default_estimator
from ci.model.evaluate import scores_alone
from ci.model.train import ANSWER, train
from ci.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "Größe (cm)",
    "Größe_(cm)",
    "a b",
    "a_b",
    "a.b",
    'say "hi"',
    "1st",
    "東京",
    "numbers",
    "probabilities",
    "feature_0",
]


def contract(names: list[str]) -> Contract:
    columns = {name: {"type": "number"} for name in names} | {"left": {"type": "boolean", "role": "target"}}
    return Contract.model_validate(
        {"description": "?", "owner": "me", "task": "binary", "target": "left", "columns": columns}
    )


class Bare:
    """A project without code."""

    name = "bare"

    def __init__(self, names: list[str]) -> None:
        self.contract = contract(names)

    def code(self, _function: str) -> None:
        return None


def test_names_that_onnx_cannot_spell_keep_their_places(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({name: draw.normal(size=300) for name in NAMES})
    features = graph.trace(Bare(NAMES))
    given = features.apply(encoding.encode(frame, contract(NAMES)))
    used = NAMES[1:]  # a column that the estimator leaves away must not shift the others
    model = Pipeline([("columns", ColumnTransformer([("n", "passthrough", used)])), ("m", LogisticRegression())])
    model.fit(given, frame["a_b"] - 2 * frame["東京"] > 0)
    made = graph.joined(features, graph.converted(model, features), contract(NAMES))
    (answers,) = graph.session(made).run(None, encoding.encode(frame, contract(NAMES)))
    np.testing.assert_allclose(answers, model.predict_proba(given)[:, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([1.0, np.nan, 0.0], Type.BOOLEAN, Type.BOOLEAN),
        ([1.0, np.nan, 2.0], Type.BOOLEAN, Type.NUMBER),
        ([1017.0, np.nan, 8001.0], Type.STRING, Type.STRING),
        ([1.5, np.nan], Type.STRING, Type.NUMBER),
        ([20240131, 20240201], Type.DATETIME, Type.INTEGER),
        (["2024-01-01T00:00:00+01:00", "2024-07-01T00:00:00+02:00"], Type.DATETIME, Type.DATETIME),
    ],
)
def test_gaps_and_offsets_are_cast_without_loss_or_not_at_all(values: list[object], kind: Type, found: Type) -> None:
    nullable = kind is not Type.DATETIME
    assert type_of(cast(pd.Series(values), Column(type=kind, nullable=nullable))) == found


def test_codes_with_gaps_are_whole() -> None:
    made = cast(pd.Series([1017.0, np.nan]), Column(type=Type.STRING, nullable=True))
    assert made[0] == "1017"
    assert made.isna()[1]


def test_a_column_without_a_value_in_training_does_not_stop_the_trees() -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"x": draw.normal(size=60), "empty": np.nan}).astype("float32")
    model = default_estimator(Task.BINARY, {}, frame, {"x": "number", "empty": "number"})
    answers = model.fit(frame, frame["x"] > 0).predict_proba(frame)[:, 1]
    assert ((answers > 0.5) == (frame["x"] > 0)).mean() > 0.95


def test_luck_on_few_rows_is_not_called_a_leak() -> None:
    """Of a hundred features of pure noise some reach an AUC of .7 on sixty rows; none of them surely."""
    draw = np.random.default_rng(1)
    names = [f"n{i}" for i in range(100)]
    frame = pd.DataFrame(draw.normal(size=(60, 100)), columns=names).assign(left=draw.random(60) < 0.5)
    found = scores_alone(frame, contract(names))
    assert max(score for score, _ in found.values()) > 0.7
    assert max(low for _, low in found.values()) < 0.7
    frame["n0"] = frame["left"] + draw.normal(size=60) * 0.1
    assert scores_alone(frame, contract(names))["n0"][1] > 0.75


def test_the_name_of_the_answers_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be a feature: the name is taken"):
        train(Bare([ANSWER]), tmp_path, tmp_path / "model", Progress())
