"""The estimator for flights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

WEATHER = {"temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"}


def estimator(params: Mapping[str, Any], features: Mapping[str, str]) -> Any:
    """Boosted trees on one-hot texts: native categories would be exported to ONNX wrongly, and silently so."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    given = dict(params)
    without = set() if given.pop("weather", True) else WEATHER
    texts = [name for name, kind in features.items() if kind == "text"]
    numbers = [name for name, kind in features.items() if kind == "number" and name not in without]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float32")
    columns = ColumnTransformer([("texts", one_hot, texts), ("numbers", "passthrough", numbers)])
    return Pipeline([("columns", columns), ("trees", HistGradientBoostingClassifier(early_stopping=False, **given))])
