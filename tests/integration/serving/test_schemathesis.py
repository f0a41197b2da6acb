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

SECONDS = int(os.environ.get("SLIPWAY_TEST_ATTACK_S", "10"))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["exact", "loose"])
def test_schemathesis_finds_nothing(made, tmp_path, part):
    """
    JSON Schema cannot say that columns have one length, nor that each tensor is there once, in any order.

    There alone the document lets through what the server refuses: that part is held to everything else.
    """
    with running(made[0], "--release-version", "1.4.0") as server:
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(parted(server.ask("GET", "/openapi.json")[1], part)), "utf-8")
        command = [
            Path(sys.executable).parent / "schemathesis",
            "run",
            document,
            "--url",
            f"http://127.0.0.1:{server.port}",
        ]
        options = ["--max-time", str(SECONDS), "--max-examples", str(10 * SECONDS), "--no-color", "--seed", "1",
                   "--request-timeout", "5", "--no-shrink"]  # fmt: skip
        if part == "loose":
            options += ["--exclude-checks", "positive_data_acceptance"]
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS * 4 + 60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        generated = int(re.search(r"(\d+) generated", done.stdout)[1])
        print(f"{part}: {generated} requests, {resident(server) / 2**20:.0f} MiB afterwards")
        assert generated >= 2 * SECONDS  # on a machine that does nothing else it is fifty times that
        assert server.ask("POST", "/predict", bundles.ROW)[0] == 200
        assert not [line for line in server.lines if line["level"] == "error"]


def parted(document: dict[str, Any], part: str) -> dict[str, Any]:
    """Return the document with what its schemas say exactly, or with the rest: infer, and columns."""
    paths = document["paths"]
    infer = {path: item for path, item in paths.items() if path.endswith("/infer")}
    loose = {**infer, "/predict": paths["/predict"]}
    kept = loose if part == "loose" else {path: item for path, item in paths.items() if path not in infer}
    body = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    (choices,) = (body[key] for key in ("oneOf", "anyOf") if key in body)
    choices[:] = [one for one in choices if one["$ref"].endswith("/Columns") == (part == "loose")]
    assert choices
    return {**document, "paths": kept}


def resident(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
