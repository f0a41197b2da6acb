"""MLServer's own codecs, as its documentation uses them: MLSERVER-PYTHON mlserver_client.py URL ROWS. Prints the answers as JSON."""

import json
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

url, rows = sys.argv[1], json.loads(Path(sys.argv[2]).read_text("utf-8"))
columns = {name: [row[name] for row in rows] for name in rows[0]}


def column_by_column():
    texts = [StringCodec.encode_input(name, columns[name]) for name in ("carrier", "origin", "scheduled_departure")]
    numbers = {"distance": "int64", "temp": "float32", "waterfront": bool}
    arrays = [NumpyCodec.encode_input(name, np.array(columns[name], dtype=kind)) for name, kind in numbers.items()]
    return InferenceRequest(id="mlserver-1", inputs=[*texts, *arrays])


def ask(request):
    body, kind = request.model_dump_json().encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/v2/models/flights/infer", body, kind), timeout=10
    ) as told:
        answer = InferenceResponse.model_validate_json(told.read())
    return [float(value) for value in NumpyCodec.decode_output(answer.outputs[0]).ravel()]


# Its codec knows texts as objects alone, which is what they were before pandas 3.
frame = pd.DataFrame(rows).astype(dict.fromkeys(("carrier", "origin", "scheduled_departure"), object))
print(json.dumps([ask(PandasCodec.encode_request(frame, use_bytes=False)), ask(column_by_column())]))
