"""KServe's own client, as its documentation uses it: KSERVE-PYTHON kserve_client.py URL ROWS. Prints the answers as JSON."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

KINDS = {"carrier": "BYTES", "distance": "INT64", "temp": "FP32", "origin": "BYTES", "waterfront": "BOOL",
         "scheduled_departure": "BYTES"}  # fmt: skip
ARRAYS = {"BYTES": object, "INT64": "int64", "FP32": "float32", "BOOL": bool}


def plain(columns):
    return [InferInput(name, [len(values)], KINDS[name], values) for name, values in columns.items()]


def binary(columns):
    found = []
    for name, values in columns.items():
        given = [value.encode() for value in values] if KINDS[name] == "BYTES" else values
        found.append(InferInput(name, [len(values), 1], KINDS[name]))
        found[-1].set_data_from_numpy(np.array(given, dtype=ARRAYS[KINDS[name]]).reshape(-1, 1), binary_data=True)
    return found


async def main(url, rows):
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1, timeout=10))
    states = [await client.is_server_live(url), await client.is_server_ready(url)]
    states.append(await client.is_model_ready(url, "flights"))
    assert states == [True] * 3, states
    answers = []
    for number, inputs in enumerate((plain(columns), binary(columns))):
        request = InferRequest("flights", inputs, request_id=f"kserve-{number}")
        answer = await client.infer(url, request, model_name="flights")
        assert answer.id == request.id
        answers.append([float(value) for value in answer.outputs[0].as_numpy()])
    print(json.dumps(answers))


asyncio.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text("utf-8"))))
