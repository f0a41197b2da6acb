"""The service that tutorials write: FastAPI, pandas, scikit-learn."""

from __future__ import annotations

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI

app = FastAPI()
model = joblib.load(os.environ["MODEL"] + "/model.joblib")


@app.post("/predict")
def predict(rows: list[dict[str, Any]]) -> list[float]:
    return model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
