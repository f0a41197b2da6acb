"""BentoML with onnxruntime on the bundle's own graph; as thin as it can be."""

import json
import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import onnxruntime

ORDER = json.loads(Path(os.environ["BUNDLE"], "signature.json").read_text("utf-8"))["graph"]


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Flights:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["BUNDLE"] + "/model.onnx", options)

    @bentoml.api
    async def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        moments = [[np.datetime64(row[name], "s").astype(np.int64) for name in ORDER["times"]] for row in rows]
        feeds = {
            "numbers": np.array([[row[name] for name in ORDER["numbers"]] for row in rows], np.float32),
            "texts": np.array([[row[name] for name in ORDER["texts"]] for row in rows], object),
            "times": np.array(moments, np.int64),
        }
        return self.session.run(["probability"], feeds)[0].tolist()
