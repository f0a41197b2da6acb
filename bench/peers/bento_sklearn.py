"""BentoML with scikit-learn."""

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Flights:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"] + "/model.joblib")

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
