"""
The server is attacked through its own OpenAPI document: no 5xx, no hang, and what it answers is what the document says.

For longer: SLIPWAY_TEST_ATTACK_S=600 pytest tests/integration/serving/test_schemathesis.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.serving.conftest import ROOT, Server, running
from tests.unit.serving import bundles

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

SECONDS = int(os.environ.get("SLIPWAY_TEST_ATTACK_S", "0"))
# By number and not by time: a busy machine is slower, and tests no less.
AMOUNT = ["--max-time", str(SECONDS), "--max-examples", str(10 * SECONDS)] if SECONDS else ["--max-examples", "8"]

# To the tool 413, the answer to a row too many, is no refusal unless it is told.
CONFIG = "[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "narrowed"),
    [
        (["--exclude-path-regex", "(predict|infer)$"], False),
        # JSON Schema cannot say that columns have one length, nor that each tensor is there once, in any order: here
        # alone the document lets through what the server refuses.
        (["--include-path-regex", "(predict|infer)$", "--exclude-checks", "positive_data_acceptance"], False),
        # Records can be said exactly. Without columns the document is narrower than the server.
        (["--include-path-regex", "predict$", "--exclude-checks", "negative_data_rejection"], True),
    ],
    ids=["metadata", "predictions", "records"],
)
def test_schemathesis_finds_nothing(made, tmp_path, choice, narrowed):
    with running(made[0], "--release-version", "1.4.0") as server:
        (tmp_path / "schemathesis.toml").write_text(CONFIG, "utf-8")
        document = tmp_path / "openapi.json"
        found = server.ask("GET", "/openapi.json")[1]
        document.write_text(json.dumps(without_columns(found) if narrowed else found), "utf-8")
        command = [
            Path(sys.executable).parent / "schemathesis",
            "run",
            document,
            "--url",
            f"http://127.0.0.1:{server.port}",
        ]
        options = [*choice, *AMOUNT, "--no-color", "--seed", "1", "--request-timeout", "5", "--no-shrink"]
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS * 4 + 120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        generated = re.search(r"(\d+) generated", done.stdout)
        assert generated, done.stdout[-6000:]
        print(f"{choice}: {generated[1]} requests, {resident(server) / 2**20:.0f} MiB afterwards")
        assert int(generated[1]) > 10
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200
        assert not [line for line in server.lines if line["level"] == "error"]


def without_columns(document: dict[str, Any]) -> dict[str, Any]:
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    (choices,) = (body[key] for key in ("oneOf", "anyOf") if key in body)
    choices[:] = [one for one in choices if not one["$ref"].endswith("/Columns")]
    assert len(choices) == 2
    return document


def resident(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
