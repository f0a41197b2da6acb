"""The plain script that Slipway is measured against: read, join, fit, score; pandas and scikit-learn, nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

TEXTS = ["carrier", "origin", "dest"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
NUMBERS = ["minute_of_day", "weekday", "plane_age", "scheduled_arrival", "distance", "seats", *WEATHER]


def main(folder: Path) -> None:
    flights = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    planes = pd.read_csv(folder / "planes.csv")[["tailnum", "year", "seats"]].rename(columns={"year": "plane_year"})
    rows = flights.merge(weather[["origin", "time_hour", *WEATHER]], on=["origin", "time_hour"], how="left")
    rows = rows.merge(planes, on="tailnum", how="left")
    rows = rows[rows["arr_delay"].notna()]
    day = pd.to_datetime(rows[["year", "month", "day"]])
    rows["minute_of_day"] = rows["hour"] * 60 + rows["minute"]
    rows["weekday"] = day.dt.day_of_week
    rows["plane_age"] = rows["year"] + day.dt.dayofyear / 365 - rows["plane_year"]
    rows["scheduled_arrival"] = rows["sched_arr_time"] // 100 * 60 + rows["sched_arr_time"] % 100
    late = rows["arr_delay"] > 15
    train, test = day < "2013-12-01", day >= "2013-12-01"
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float32")
    columns = ColumnTransformer([("texts", one_hot, TEXTS), ("numbers", "passthrough", NUMBERS)])
    trees = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, min_samples_leaf=100, early_stopping=False, random_state=0
    )
    model = Pipeline([("columns", columns), ("trees", trees)]).fit(rows.loc[train, TEXTS + NUMBERS], late[train])
    scores = model.predict_proba(rows.loc[test, TEXTS + NUMBERS])[:, 1]
    print(f"auc {roc_auc_score(late[test], scores):.4f}, log loss {log_loss(late[test], scores):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
