"""Save the trained pipeline as mlflow's own server takes it: `python to_mlflow.py MODEL_FOLDER TARGET`."""

import json
import sys
from pathlib import Path

import joblib
import mlflow.sklearn
import pandas as pd

model, target = Path(sys.argv[1]), Path(sys.argv[2])
example = pd.DataFrame(json.loads((model / "rows.json").read_text("utf-8"))[:2])
pipeline = joblib.load(model / "model.joblib")
# The default format refuses the trees; this one is slower to load and no slower to answer.
mlflow.sklearn.save_model(
    pipeline, target, pyfunc_predict_fn="predict_proba", input_example=example, serialization_format="cloudpickle"
)
