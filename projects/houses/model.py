"""The estimator for houses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def estimator(params: Mapping[str, Any], features: Mapping[str, str]) -> Any:
    """Boosted trees; the postcode is one-hot, the rest passes through."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    texts = [name for name, kind in features.items() if kind == "text"]
    numbers = [name for name, kind in features.items() if kind == "number"]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float32")
    columns = ColumnTransformer([("texts", one_hot, texts), ("numbers", "passthrough", numbers)])
    return Pipeline([("columns", columns), ("trees", HistGradientBoostingRegressor(early_stopping=False, **params))])
