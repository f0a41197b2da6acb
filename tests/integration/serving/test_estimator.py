"""The official client gets the estimator's own predictions, as training kept them: not only what the graph says."""

from __future__ import annotations

import importlib
import json
import math
import shutil
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ci.model.bundle import digest
from ci.packaging import wheel
from tests.integration.serving.conftest import ROOT, Server, running
from tests.unit.serving.bundles import seal

http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
ANSWER = "answer ·"


@pytest.fixture(scope="module", params=["flights", "houses"])
def case(request: pytest.FixtureRequest):
    bundle, reference = (
        ROOT / "artifacts" / request.param,
        ROOT / "models" / request.param / "model" / "reference.parquet",
    )
    if not (bundle / "manifest.json").exists() or not reference.exists():
        pytest.skip(f"no {request.param} here; `make run` makes it")
    with running(Path(bundle)) as server:
        yield server, request.param, bundle, pd.read_parquet(reference)


def taken(frame: pd.DataFrame, inputs: list[dict]) -> pd.DataFrame:
    """The rows that the signature takes: the reference holds some that it must refuse."""
    keep = np.ones(len(frame), dtype=bool)
    for spec in inputs:
        values = frame[spec["name"]]
        keep &= values.notna().to_numpy() | spec["nullable"]
        if spec["type"] in {"number", "integer"}:
            low, high = (
                (-math.inf if spec["minimum"] is None else spec["minimum"]),
                (math.inf if spec["maximum"] is None else spec["maximum"]),
            )
            keep &= (values.isna() | values.between(low, high)).to_numpy()
        if spec["type"] == "string" and spec.get("categories") and spec["unknown"] == "reject":
            keep &= (values.isna() | values.isin(spec["categories"])).to_numpy()
    return frame[keep]


def tensor(values: pd.Series, spec: dict, *, binary: bool):
    """One column as numpy has it, by the datatype that the server's metadata names."""
    plain = {"BYTES": lambda: np.array([text(value) for value in values], dtype=object), "FP32": lambda: values.to_numpy("float32"),
             "FP64": lambda: values.to_numpy("float64"), "INT64": lambda: values.to_numpy("int64"), "BOOL": lambda: values.to_numpy("bool")}  # fmt: skip
    array = plain[spec["datatype"]]()
    found = http.InferInput(spec["name"], array.shape, spec["datatype"])
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def text(value: object) -> str:
    return value.isoformat() if isinstance(value, pd.Timestamp) else "" if pd.isna(value) else str(value)


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_gets_what_the_estimator_answered(case, binary):
    server, name, bundle, frame = case
    signature = json.loads((bundle / "signature.json").read_text("utf-8"))
    frame = taken(frame, signature["inputs"])
    assert len(frame) > 1000
    client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    about = client.get_model_metadata(name)
    has_nan = any(frame[spec["name"]].isna().any() for spec in about["inputs"] if spec["datatype"] in {"FP32", "FP64"})
    if has_nan and not binary:
        frame = frame.dropna()  # this client spells NaN as NaN, which is no JSON
    inputs = [tensor(frame[spec["name"]], spec, binary=binary) for spec in about["inputs"]]
    output = signature["output"]["name"]
    found = client.infer(name, inputs, outputs=[http.InferRequestedOutput(output, binary_data=binary)]).as_numpy(output)
    held(found, frame, bundle)
    client.close()


def test_plain_json_row_for_row(case):
    """The same by the quick way of one row, with missing values and texts that were never seen."""
    server, _, bundle, frame = case
    ask: Server = server
    signature = json.loads((bundle / "signature.json").read_text("utf-8"))
    frame = taken(frame, signature["inputs"]).iloc[::20]
    tolerance = json.loads((bundle / "golden.json").read_text("utf-8"))["tolerance"]
    for row in frame.to_dict("records"):
        record = {spec["name"]: plain(row[spec["name"]], spec["type"]) for spec in signature["inputs"]}
        status, answer = ask.ask("POST", "/predict", record)
        assert status == 200, answer
        assert abs(answer["predictions"][0] - row[ANSWER]) <= tolerance * max(1, abs(row[ANSWER]))


def plain(value: object, kind: str) -> object:
    if pd.isna(value):
        return None
    if kind == "datetime":
        return value.isoformat()
    return {"integer": int, "boolean": bool}.get(kind, lambda same: same)(value)


@contextmanager
def imported(site, name):
    """Import a package for a while; others of the same name, of other tests, are there again afterwards."""

    def taken_out():
        return {there: sys.modules.pop(there) for there in list(sys.modules) if there.partition(".")[0] == name}

    kept = taken_out()
    sys.path.insert(0, str(site))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(site))
        taken_out()
        sys.modules.update(kept)


def test_the_wheel_answers_row_for_row(case, tmp_path):
    _, name, bundle, frame = case
    signature = json.loads((bundle / "signature.json").read_text("utf-8"))
    frame = taken(frame, signature["inputs"])
    built = tmp_path / wheel.name(name, "1.0.0")
    built.write_bytes(wheel.wheel(bundle, name, "1.0.0", digest(bundle)))
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path / "site")
    with imported(tmp_path / "site", f"{name}_model") as package:
        found = package.load().predict(frame[[spec["name"] for spec in signature["inputs"]]])
    held(found, frame, bundle)


def test_a_server_that_swapped_while_it_ran_answers_row_for_row(case, tmp_path):
    """It starts with another release, and is told to look again; that swaps change answers is shown in test_swaps.py."""
    _, name, bundle, frame = case
    place, other = tmp_path / "live", tmp_path / "other"
    shutil.copytree(bundle, other)
    (other / "MODEL_CARD.md").write_text("Another release of the same model.", "utf-8")
    seal(other)
    place.symlink_to(other)
    signature = json.loads((bundle / "signature.json").read_text("utf-8"))
    frame = taken(frame, signature["inputs"]).iloc[::5]
    with running(place, "--admin-loopback") as server:
        before = server.ask("POST", "/v2/repository/index", {})[1]
        (tmp_path / "next").symlink_to(bundle)
        (tmp_path / "next").replace(place)
        assert server.ask("POST", f"/v2/repository/models/{name}/load", {})[0] == 200
        assert server.ask("POST", "/v2/repository/index", {})[1] != before
        client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
        about = client.get_model_metadata(name)
        inputs = [tensor(frame[spec["name"]], spec, binary=True) for spec in about["inputs"]]
        output = signature["output"]["name"]
        wish = [http.InferRequestedOutput(output, binary_data=True)]
        held(client.infer(name, inputs, outputs=wish).as_numpy(output), frame, bundle)
        client.close()


def held(found: np.ndarray, frame: pd.DataFrame, bundle: Path) -> None:
    """Hold answers to what the estimator itself had answered."""
    wanted = frame[[column for column in frame if column.startswith(ANSWER)]].to_numpy().squeeze()
    tolerance = json.loads((bundle / "golden.json").read_text("utf-8"))["tolerance"]
    assert len(found) == len(wanted) > 100
    np.testing.assert_array_less(np.abs(found - wanted) / np.maximum(1, np.abs(wanted)), tolerance)
