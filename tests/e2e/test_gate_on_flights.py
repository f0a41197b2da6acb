"""
The gate on real flights out of New York.

Given five models that the real steps trained on the same five months, when each meets the one that everybody uses, then
the better one passes, and none gets through by luck.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"max_iter": 40, "learning_rate": 0.15, "max_features": 0.5}  # max_features makes the seed matter

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]


class Flights:
    """A checkout of this repository with data, in which bundles are built and judged."""

    def __init__(self, path):
        self.path = path
        for name in ("ci", "steps", "templates", "projects", "params.yaml", "dvc.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, path / name)
        self.params = path / "projects/flights/params.yaml"
        self.sound = self.params.read_text(encoding="utf-8")
        for name in ("ingest", "check_data", "prepare"):
            self.must(name)
        self.train_rows = path / "data/flights/prepared/train.parquet"
        self.rows = pd.read_parquet(self.train_rows)

    def run(self, step, *arguments):
        command = [sys.executable, "-m", f"steps.{step}", "--project", "flights", *arguments]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "GIT_"))}
        ceiling = {"GIT_CEILING_DIRECTORIES": str(self.path.parent), "OMP_NUM_THREADS": "1"}
        given = {**clean, "PYTHONPATH": str(self.path), **ceiling}
        return subprocess.run(command, cwd=self.path, env=given, capture_output=True, text=True, timeout=600)

    def must(self, step, *arguments):
        done = self.run(step, *arguments)
        assert done.returncode == 0, done.stderr

    def build(self, name, *, rows=None, seed=1, **estimator):
        """Train, evaluate and seal a variant; return its folder."""
        yaml = YAML()
        params = yaml.load(self.sound)
        params["train"]["seed"] = seed
        params["train"]["estimator"].update({**QUICK, **estimator})
        with self.params.open("w", encoding="utf-8") as target:
            yaml.dump(params, target)
        if rows is not None:
            rows.to_parquet(self.train_rows, index=False)
        for step in ("train", "evaluate", "bundle"):
            self.must(step)
        self.rows.to_parquet(self.train_rows, index=False)
        self.params.write_text(self.sound, encoding="utf-8")
        return Path(shutil.copytree(self.path / "artifacts/flights", self.path / name))

    def judge(self, challenger, champion):
        """Return exit code, first line and report."""
        done = self.run(
            "gate", "--challenger", challenger, "--champion", champion, "--comparisons", f"ledger-{challenger}"
        )
        told = json.loads((self.path / "reports/flights/gate.json").read_text(encoding="utf-8"))
        return done.returncode, told["message"], {check["name"]: check for check in told["checks"]}


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    made = Flights(tmp_path_factory.mktemp("flights"))
    made.build("usual")
    return made


def test_weather_beats_no_weather(flights):
    flights.build("dry", weather=False)
    code, message, checks = flights.judge("usual", "dry")
    assert code == 0, message
    assert message.startswith("better auc: ")
    assert checks["better auc"]["interval"][0] > 0
    assert checks["better auc"]["extra"]["clusters"] == 30
    assert checks["better auc"]["extra"]["mde"] > 0.01  # power alone would have called it inconclusive: ADR 0011
    code, message, _ = flights.judge("dry", "usual")
    assert code == 3, message
    assert message.startswith("better auc: worse: ")


def test_shuffled_labels_are_rejected(flights):
    shuffled = flights.rows.assign(late=np.random.default_rng(0).permutation(flights.rows["late"].to_numpy()))
    flights.build("shuffled", rows=shuffled)
    code, message, checks = flights.judge("shuffled", "usual")
    assert code == 3, message
    assert message.startswith("better auc: worse: ")
    assert {checks[f"slice origin={origin}"]["outcome"] for origin in ("EWR", "JFK", "LGA")} == {"rejected"}
    code, message, _ = flights.judge("shuffled", "none")
    assert code == 3, message
    assert message.startswith("skill: ")


def test_one_month_is_not_enough_and_the_slices_are_named(flights):
    flights.build("january", rows=flights.rows[flights.rows["scheduled_departure"] < "2013-02-01"])
    code, message, checks = flights.judge("january", "usual")
    assert code in {3, 4}, message
    assert "origin=" in message or "carrier=" in message
    assert checks["better auc"]["outcome"] != "passed"


def test_another_seed_is_no_better_model(flights):
    flights.build("seed", seed=2)
    code, message, checks = flights.judge("seed", "usual")
    assert code in {3, 4}, message
    assert checks["better auc"]["outcome"] in {"rejected", "inconclusive"}
    assert checks["better auc"]["extra"]["p_value"] > 0.025


def test_the_model_itself_is_nothing_to_decide(flights):
    code, message, _ = flights.judge("usual", "usual")
    assert code == 0
    assert message.startswith("nothing to decide, no release needed")
