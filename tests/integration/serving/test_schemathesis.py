"""
The server is attacked through its own OpenAPI document: no 5xx, no hang, and what it answers is what the document says.

For longer: SLIPWAY_TEST_ATTACK_S=600 pytest tests/integration/serving/test_schemathesis.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.serving.conftest import ROOT, running
from tests.unit.serving import bundles

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

SECONDS = int(os.environ.get("SLIPWAY_TEST_ATTACK_S", "10"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "choice",
    [
        ["--exclude-path-regex", "/infer$"],
        # JSON Schema cannot say that each column must be there once, in any order and of one length: here alone the
        # document lets through what the server refuses.
        ["--include-path-regex", "/infer$", "--exclude-checks", "positive_data_acceptance"],
    ],
    ids=["all but infer", "infer"],
)
def test_schemathesis_finds_nothing(made, tmp_path, choice):
    with running(made[0], "--release-version", "1.4.0") as server:
        url = f"http://127.0.0.1:{server.port}/openapi.json"
        command = [Path(sys.executable).parent / "schemathesis", "run", url, *choice, "--max-time", str(SECONDS)]
        options = [
            "--max-examples",
            str(10 * SECONDS),
            "--no-color",
            "--seed",
            "1",
            "--request-timeout",
            "5",
            "--no-shrink",
        ]
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS * 4 + 60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 20
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200
        assert not [line for line in server.lines if line["level"] == "error"]
