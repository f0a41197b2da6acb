"""The estimator of a project that names none: boosted trees, which need little care and export exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.contract import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

MAX_CATEGORIES = 100


def default_estimator(task: Task, params: Mapping[str, Any], frame: pd.DataFrame, kinds: Mapping[str, str]) -> Any:
    """
    Build an unfitted pipeline for `frame`'s features.

    Texts are one-hot over their hundred most frequent values, the rest is "other"; native categories would be
    converted to ONNX wrongly, and silently so. `params` go to the trees.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    texts = [name for name, kind in kinds.items() if kind == "text"]
    # Trees cannot be grown on a column without any value; what they never saw they cannot use.
    numbers = [name for name, kind in kinds.items() if kind == "number" and frame[name].notna().any()]
    parts: list[tuple[str, Any, list[str]]] = [("numbers", "passthrough", numbers)] if numbers else []
    if texts:
        frequent = [sorted(frame[name].value_counts().head(MAX_CATEGORIES).index) for name in texts]
        one_hot = OneHotEncoder(categories=frequent, handle_unknown="ignore", sparse_output=False, dtype="float32")
        parts.insert(0, ("texts", one_hot, texts))
    regression = task is Task.REGRESSION
    trees = (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(
        early_stopping=False, **params
    )
    return Pipeline([("columns", ColumnTransformer(parts)), ("trees", trees)])
