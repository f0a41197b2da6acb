"""What `bench/serving.py` measures: each server's environment, its command, and the requests that it reads."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HERE, OUT, BIN = ROOT / "bench" / "peers", ROOT / "bench" / "out", Path(sys.executable).parent
BUNDLE, ROWS = ROOT / "artifacts" / "flights", 100
SKLEARN = ["scikit-learn==1.9.1", "pandas==3.1.1", "pyarrow==25.0.1", "joblib"]
PINS = {
    "fastapi": ["fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0", *SKLEARN],
    "mlserver": ["mlserver==1.7.1", "mlserver-sklearn==1.7.1", *SKLEARN],
    "mlflow": ["mlflow==3.17.2", *SKLEARN],
    "bentoml": ["bentoml==1.4.40", *SKLEARN],
    "bentoml-onnx": ["bentoml==1.4.40", "onnxruntime==1.32.0", "numpy"],
}


@dataclass
class Server:
    """How to start one server, and what to send it: bodies with one row, and one with a hundred."""

    name: str
    command: list[str]
    ready: str
    routes: list[tuple[str, str, str, str]]  # label, path, file of one-row bodies, file of the batch
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path = ROOT


def bodies() -> None:
    """Write the requests: rows of the reference set, in every form that a server here reads."""
    import pandas as pd

    signature = json.loads((BUNDLE / "signature.json").read_text("utf-8"))
    frame = pd.read_parquet(ROOT / "models" / "flights" / "model" / "reference.parquet").head(ROWS)
    rows = [
        {c["name"]: plain(row[c["name"]], c["type"]) for c in signature["inputs"]} for row in frame.to_dict("records")
    ]
    lines("one.predict", rows)
    lines("many.predict", [{"records": rows}])
    lines("many.columns", [{"columns": {name: [row[name] for row in rows] for name in rows[0]}}])
    lines("one.v2", [tensors(signature["inputs"], [row]) for row in rows])
    lines("many.v2", [tensors(signature["inputs"], rows)])
    lines("one.rows", [{"rows": [row]} for row in rows])
    lines("many.rows", [{"rows": rows}])


def plain(value: Any, kind: str) -> Any:
    if kind == "datetime":
        return value.isoformat()
    return None if value != value else int(value) if kind == "integer" else value  # noqa: PLR0124 # NaN is null


def tensors(inputs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = {"integer": "INT64", "boolean": "BOOL", "number": "FP32"}
    return {
        "inputs": [
            {"name": c["name"], "shape": [len(rows)], "datatype": kinds.get(c["type"], "BYTES"), "data": [row[c["name"]] for row in rows]}
            for c in inputs
        ]
    }  # fmt: skip


def derived(rows: list[dict[str, Any]]) -> None:
    """Write the requests of the scikit-learn peers, from rows as their pipeline takes them."""
    for name, some in (("one", [[row] for row in rows]), ("many", [rows])):
        lines(f"{name}.list", some)
        lines(f"{name}.derived", [{"rows": part} for part in some])
        lines(f"{name}.mlflow", [{"dataframe_records": part} for part in some])
        lines(f"{name}.mlserver", [frame_tensors(part) for part in some])


def frame_tensors(rows: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = []
    for name in rows[0]:
        data = [row[name] for row in rows]
        text = any(isinstance(value, str) for value in data)
        about = {"datatype": "BYTES", "parameters": {"content_type": "str"}} if text else {"datatype": "FP64"}
        inputs.append({"name": name, "shape": [len(rows), 1], "data": data, **about})
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


def lines(name: str, documents: list[Any]) -> None:
    (OUT / name).write_text("\n".join(json.dumps(document) for document in documents) + "\n", "utf-8")


def make(name: str, peers: Path) -> str:
    """Make a peer's environment where it is missing, and the model that they share; returns why that cannot be."""
    folder, uv = peers / name, str(BIN / "uv")
    python = folder / "venv" / "bin" / "python"
    try:
        model = trained(peers)
        if not (folder / "made").exists():
            if not python.exists():
                run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
            run([uv, "pip", "install", "--quiet", "--python", str(python), *PINS[name]])
            (folder / "made").touch()
        if name == "mlserver":
            (folder / "model").mkdir(exist_ok=True)
            parameters = {"uri": str(model / "model.joblib"), "version": "1"}
            about = {"name": "flights", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": parameters}
            (folder / "model" / "model-settings.json").write_text(json.dumps(about), "utf-8")
        if name == "mlflow" and not (folder / "mlflow" / "MLmodel").exists():
            run([str(python), str(HERE / "to_mlflow.py"), str(model), str(folder / "mlflow")])
    except (OSError, subprocess.SubprocessError) as error:
        return " ".join(str(getattr(error, "stderr", "") or error).split())[-300:]
    return ""


def trained(peers: Path) -> Path:
    """Train the pipeline that all scikit-learn peers serve, once, and write their requests."""
    model = peers / "model"
    if not (model / "rows.json").exists():
        reference_set = ROOT / "models" / "flights" / "model" / "reference.parquet"
        prepared = ROOT / "data" / "flights" / "prepared"
        run([sys.executable, str(HERE / "train.py"), str(prepared), str(reference_set), str(model)])
    derived(json.loads((model / "rows.json").read_text("utf-8")))
    return model


def run(command: list[str]) -> None:
    subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=1800, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def server(name: str, peers: Path) -> Server:
    """Return how to start a server, on a port that is free now."""
    port, folder = free(), peers / name
    bin_, env = folder / "venv" / "bin", {"MODEL": str(peers / "model"), "BUNDLE": str(BUNDLE)}
    quiet = ["--no-access-log", "--log-level", "error", "--loop", "uvloop", "--http", "httptools", "--port", str(port)]
    bento = ["serve", "--port", str(port), "--host", "127.0.0.1", "--working-dir", str(HERE)]
    known = {
        "ours": lambda: Server(
            name, [sys.executable, "-m", "serving", "--model", str(BUNDLE), "--port", str(port)], "/v2/health/ready",
            [("ours /predict", "/predict", "one.predict", "many.predict"), ("ours /v2", "/v2/models/flights/infer", "one.v2", "many.v2"),
             ("ours /predict, columns", "/predict", "one.predict", "many.columns")],
        ),
        "echo": lambda: Server(
            name, [str(BIN / "uvicorn"), "--app-dir", str(HERE), "echo:app", "--lifespan", "off", "--ws", "none", *quiet], "/",
            [("echo", "/", "one.predict", "many.predict"), ("echo of /v2", "/", "one.v2", "many.v2")],
        ),
        "fastapi": lambda: Server(
            name, [str(bin_ / "uvicorn"), "--app-dir", str(HERE), "plain_fastapi:app", *quiet], "/docs",
            [("FastAPI + scikit-learn", "/predict", "one.list", "many.list")],
        ),
        "mlserver": lambda: Server(
            name, [str(bin_ / "mlserver"), "start", str(folder / "model")], "/v2/health/ready",
            [("MLServer (sklearn)", "/v2/models/flights/infer", "one.mlserver", "many.mlserver")],
            {f"MLSERVER_{key}": value for key, value in {
                "HTTP_PORT": str(port), "GRPC_PORT": str(free()), "METRICS_PORT": str(free()), "HOST": "127.0.0.1",
                "PARALLEL_WORKERS": "0", "DEBUG": "false"}.items()}, folder,
        ),
        "mlflow": lambda: Server(
            name, [str(bin_ / "mlflow"), "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local",
                   "--workers", "1", "--port", str(port), "--host", "127.0.0.1"], "/ping",
            [("mlflow models serve (sklearn)", "/invocations", "one.mlflow", "many.mlflow")], {}, folder,
        ),
        "bentoml": lambda: Server(
            name, [str(bin_ / "bentoml"), *bento, "bento_sklearn:Flights"], "/readyz",
            [("BentoML (sklearn)", "/predict", "one.derived", "many.derived")],
        ),
        "bentoml-onnx": lambda: Server(
            name, [str(bin_ / "bentoml"), *bento, "bento_onnx:Flights"], "/readyz",
            [("BentoML (onnxruntime)", "/predict", "one.rows", "many.rows")],
        ),
    }  # fmt: skip
    made = known[name]()
    path = f"{bin_}:{os.environ['PATH']}"  # mlflow starts uvicorn by its name
    made.env = {**os.environ, **env, **made.env, "PATH": path, "PORT": str(port), "BENTOML_DO_NOT_TRACK": "1",
                "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
    return made


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@functools.cache
def reference() -> list[float]:
    """Return what the bundle's graph answers for the rows that are sent, from a run without any server."""
    import onnxruntime
    import pandas as pd

    order = json.loads((BUNDLE / "signature.json").read_text("utf-8"))["graph"]
    frame = pd.read_parquet(ROOT / "models" / "flights" / "model" / "reference.parquet").head(ROWS)
    feeds = {
        "numbers": frame[order["numbers"]].to_numpy("float32"),
        "texts": frame[order["texts"]].to_numpy(object),
        "times": frame[order["times"]].to_numpy("datetime64[s]").astype("int64"),
    }
    answers = onnxruntime.InferenceSession(BUNDLE / "model.onnx").run(["probability"], feeds)[0]
    return [float(answer) for answer in answers]
