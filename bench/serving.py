"""
Our server beside an echo on the same stack, and beside the servers that people use: one model, one core each.

    python bench/serving.py [--peers FOLDER] [--rounds 3] [--seconds 5] [--only ours,echo,…]

Each server runs one worker on core 0; `wrk` holds 16 keep-alive connections on core 1. All take turns in each round;
figures are medians over rounds. Peers get an environment each below --peers, made when it is missing, and their best
working setting; access logs are off everywhere (mlflow cannot: its log goes to /dev/null). A peer that cannot be made
or does not answer is listed with the reason. Needs `make run` (data/, models/, artifacts/), wrk, taskset and uv.
Writes bench/out/serving.json and serving.md. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
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


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--peers", type=Path, default=ROOT / "bench" / "out" / "peers")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--only", default="")
    given = options.parse_args()
    given.peers = given.peers.resolve()
    OUT.mkdir(parents=True, exist_ok=True)
    bodies()
    wanted = [name for name in given.only.split(",") if name] or ["ours", "echo", *PINS]
    failed = {name: reason for name in wanted if name in PINS and (reason := make(name, given.peers))}
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(given.rounds):
        for name in wanted:
            if name in failed:
                continue
            try:
                for label, figures in measured(server(name, given.peers), given.seconds).items():
                    found.setdefault(label, []).append(figures)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                failed[name] = " ".join(str(error).split())[:200]
            print(f"round {number + 1}: {name}: {failed.get(name, 'done')}", file=sys.stderr, flush=True)
    medians = {
        label: {key: statistics.median(one[key] for one in each) for key in each[0]} for label, each in found.items()
    }
    tell(medians, failed, given)


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
    """Make a peer's environment and model where they are missing; returns why that cannot be, or nothing."""
    folder, uv = peers / name, str(BIN / "uv")
    python, model = folder / "venv" / "bin" / "python", folder / "model"
    try:
        if not (folder / "made").exists():
            run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder / "venv")])
            run([uv, "pip", "install", "--quiet", "--python", str(python), *PINS[name]])
            if name != "bentoml-onnx":
                prepared, reference = (
                    ROOT / "data" / "flights" / "prepared",
                    ROOT / "models" / "flights" / "model" / "reference.parquet",
                )
                run([str(python), str(HERE / "train.py"), str(prepared), str(reference), str(model)])
            if name == "mlserver":
                about = {
                    "name": "flights",
                    "implementation": "mlserver_sklearn.SKLearnModel",
                    "parameters": {"uri": "./model.joblib", "version": "1"},
                }
                (model / "model-settings.json").write_text(json.dumps(about), "utf-8")
            (folder / "made").touch()
    except (OSError, subprocess.SubprocessError) as error:
        return " ".join(str(getattr(error, "stderr", "") or error).split())[-300:]
    if (model / "rows.json").exists():
        derived(json.loads((model / "rows.json").read_text("utf-8")))
    return ""


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)


def server(name: str, peers: Path) -> Server:
    """Return how to start a server, on a port that is free now."""
    port, folder = free(), peers / name
    bin_, env = folder / "venv" / "bin", {"MODEL": str(folder / "model"), "BUNDLE": str(BUNDLE)}
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
            name, [str(bin_ / "mlflow"), "models", "serve", "-m", str(folder / "model" / "mlflow"), "--env-manager", "local",
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


def measured(made: Server, seconds: float) -> dict[str, dict[str, float]]:
    """Start a server, measure each of its routes, stop it."""
    start, base = time.perf_counter(), f"http://127.0.0.1:{made.env['PORT']}"
    with (OUT / f"{made.name}.log").open("w") as log:
        process = subprocess.Popen(
            ["taskset", "-c", "0", *made.command], env=made.env, cwd=made.cwd, stdout=log if made.name != "mlflow" else subprocess.DEVNULL,
            stderr=log if made.name != "mlflow" else subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        up(base + made.ready, process)
        started = time.perf_counter() - start
        found = {}
        for label, path, one, many in made.routes:
            answers(base + path, OUT / one)
            load(base, path, one, min(2.0, seconds))
            before = cpu(process.pid)
            single = load(base, path, one, seconds)
            spent = cpu(process.pid) - before
            batch = load(base, path, many, seconds)
            found[label] = {
                **single, "cpu_us": spent / max(1, single["rps"] * seconds) * 1e6, "batch_rps": batch["rps"], "batch_p99_ms": batch["p99_ms"],
                "start_s": started, "memory_mb": memory(process.pid) / 1e6,
            }  # fmt: skip
        return found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def up(url: str, process: subprocess.Popen[bytes], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"it did not come up: exit {process.poll()}")


def answers(url: str, bodies_: Path) -> None:
    """Send one body and hold the server to a 2xx, so that no error page is measured."""
    body = bodies_.read_bytes().splitlines()[0]
    with urllib.request.urlopen(
        urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=20
    ) as answer:
        answer.read()


def load(base: str, path: str, bodies_: str, seconds: float) -> dict[str, float]:
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c16", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(HERE / "load.lua"),
               base, "--", path, str(OUT / bodies_)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
    figures = json.loads(done.stdout.splitlines()[-1])
    if figures.pop("bad"):
        raise RuntimeError(f"{path}: answers that are no 2xx, or none")
    return figures


def family(pid: int) -> list[int]:
    """A process and all that came from it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def memory(pid: int) -> int:
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid)) * os.sysconf(
        "SC_PAGE_SIZE"
    )


def cpu(pid: int) -> float:
    ticks = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in family(pid)]
    return sum(int(each[11]) + int(each[12]) for each in ticks) / os.sysconf("SC_CLK_TCK")


def tell(medians: dict[str, dict[str, float]], failed: dict[str, str], given: argparse.Namespace) -> None:
    """Print and write the table, and the ratios that were aimed at."""
    head = "| server | 1 row: requests/s | p50 ms | p99 ms | processor µs | 100 rows: requests/s | p99 ms | start-up s | memory MB |"
    out = [head, "|" + "---|" * 9]
    for label, f in medians.items():
        out.append(
            f"| {label} | {f['rps']:,.0f} | {f['p50_ms']:.1f} | {f['p99_ms']:.1f} | {f['cpu_us']:,.0f} | {f['batch_rps']:,.0f} | "
            f"{f['batch_p99_ms']:.1f} | {f['start_s']:.2f} | {f['memory_mb']:.0f} |"
        )
    out += [f"| {name} | not measured: {reason} |||||||||" for name, reason in failed.items()]
    goals = [("ours /predict", "echo", "rps", 0.5), ("ours /v2", "echo of /v2", "rps", 0.5)]
    sklearn = ["MLServer (sklearn)", "BentoML (sklearn)", "mlflow models serve (sklearn)"]
    for ours in ("ours /predict", "ours /v2"):
        goals += [(ours, peer, "rps", 20) for peer in sklearn] + [(ours, "BentoML (onnxruntime)", "rps", 4)]
        goals += [(ours, "MLServer (sklearn)", "batch_rps", 8)]
    out.append("")
    for ours, peer, key, aim in goals:
        if ours in medians and peer in medians:
            ratio = medians[ours][key] / medians[peer][key]
            out.append(f"- {ours} / {peer}, {'100 rows' if key == 'batch_rps' else '1 row'}: {ratio:.2f} (aim {aim:g}){'' if ratio >= aim else ' MISSED'}")  # fmt: skip
    pins = sorted({pin for pins in PINS.values() for pin in pins})
    out.append(f"\n{dt.datetime.now(dt.UTC):%Y-%m-%d}, {given.rounds} rounds of {given.seconds:g} s; {', '.join(pins)}")  # fmt: skip
    (OUT / "serving.md").write_text("\n".join(out) + "\n", "utf-8")
    (OUT / "serving.json").write_text(json.dumps({"medians": medians, "failed": failed}, indent=1), "utf-8")
    print("\n".join(out))


if __name__ == "__main__":
    main()
