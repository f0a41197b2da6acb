"""
Train the scikit-learn pipeline that the peers serve: the estimator of flights on the same rows, as joblib.

    python train.py PREPARED REFERENCE MODEL_FOLDER

The features that our graph derives itself are derived beforehand, as it derives them: the peers are spared that work.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

TEXTS = ["carrier", "origin", "dest"]
NUMBERS = [
    "scheduled_arrival", "distance", "seats", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
    "pressure", "visib", "minute_of_day", "weekday", "plane_age",
]  # fmt: skip


def derived(rows: pd.DataFrame) -> pd.DataFrame:
    """Return texts and numbers as the pipeline takes them."""
    moment = rows["scheduled_departure"].astype("datetime64[s]").astype("int64")
    rows = rows.assign(
        minute_of_day=moment % 86_400 // 60,
        weekday=(moment // 86_400 + 3) % 7,
        plane_age=1970 + moment / (365.2425 * 86_400) - rows["plane_year"].astype("float64"),
    )
    return pd.concat([rows[TEXTS].astype(object), rows[NUMBERS].astype("float32").astype("float64")], axis=1)


def main(prepared: Path, reference: Path, target: Path) -> None:
    rows = pd.read_parquet(prepared / "train.parquet")
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float32")
    columns = ColumnTransformer([("texts", one_hot, TEXTS), ("numbers", "passthrough", NUMBERS)])
    trees = HistGradientBoostingClassifier(
        early_stopping=False, max_iter=200, learning_rate=0.05, min_samples_leaf=100, random_state=0
    )
    model = Pipeline([("columns", columns), ("trees", trees)]).fit(derived(rows), rows["late"].astype(bool))
    target.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, target / "model.joblib")
    asked = derived(pd.read_parquet(reference).head(100))
    (target / "answers.json").write_text(json.dumps(model.predict_proba(asked)[:, 1].tolist()))
    (target / "rows.json").write_text(asked.to_json(orient="records", double_precision=15))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
