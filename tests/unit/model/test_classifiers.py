"""Whatever says a probability says it in the graph, too; trees that add up to one logit do so without a classifier's detours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from ci.model import encoding, graph
from tests import shop

NUMBERS = {"columns": {"town": {"role": "after"}}}
CASES: dict[str, tuple[Any, bool]] = {
    "boosted by histogram": (HistGradientBoostingClassifier(max_iter=7), True),
    "boosted": (GradientBoostingClassifier(n_estimators=7), False),
    "a forest": (RandomForestClassifier(n_estimators=5, max_depth=4), False),
    "a tree": (DecisionTreeClassifier(max_depth=3), False),
    "linear": (LogisticRegression(), False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_graph_gives_the_probability_of_the_estimator(tmp_path: Path, case: str) -> None:
    last, lean = CASES[case]
    estimator = make_pipeline(ColumnTransformer([("all", "passthrough", ["age", "spent", "member"])]), last)
    project = shop.shop(tmp_path, contract=NUMBERS)
    features = graph.trace(project)
    rng = np.random.default_rng(5)
    rows = shop.visits().head(400).assign(spent=lambda frame: frame["spent"].fillna(0.0))
    given = features.apply(encoding.encode(rows, project.contract))
    labels = rng.random(len(given)) < 0.3 + 0.4 * (given["age"] > given["age"].median())
    estimator.fit(given, labels)
    raw = graph.joined(features, graph.converted(estimator, features), project.contract)
    inputs = encoding.encode(rows, project.contract)
    (answer,) = graph.session(raw).run(None, inputs)
    np.testing.assert_allclose(answer, estimator.predict_proba(given)[:, 1], atol=1e-5)
    kinds = {node.op_type for node in onnx.load_from_string(raw).graph.node}
    assert ("TreeEnsembleRegressor" in kinds) == lean or case == "boosted"
    assert not (lean and "TreeEnsembleClassifier" in kinds)
