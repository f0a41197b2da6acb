"""KServe's and MLServer's clients: what they sent when they were recorded is answered as they then took it."""

from __future__ import annotations

import base64
import http.client
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.clients.record import GOLDEN, rows
from tests.unit.serving import bundles

RECORDED = sorted(GOLDEN.glob("*.json"))


def test_both_were_recorded():
    assert [path.stem for path in RECORDED] == ["kserve", "mlserver"]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_requests_of_other_clients(server, path: Path):
    wanted, answered = bundles.predict(bundles.graph(), rows()), 0
    for request in json.loads(path.read_text("utf-8"))["requests"]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(
            request["method"], request["path"], base64.b64decode(request["body"]) or None, request["headers"]
        )
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status == 200, content
        if request["method"] == "POST":
            (output,) = json.loads(content)["outputs"]
            assert (output["name"], output["datatype"]) == ("probability", "FP32")
            assert math.prod(output["shape"]) == len(wanted)
            np.testing.assert_allclose(output["data"], wanted, atol=1e-6)
            answered += 1
    assert answered == 2
