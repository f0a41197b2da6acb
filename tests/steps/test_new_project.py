"""The step as a process: its exit codes, where its files lie, what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.scaffold.conftest import people

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("ci", "steps", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "params.yaml").write_text("projects:\n  - flights\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "sources").mkdir()
    people().to_csv(tmp_path / "sources" / "rows.csv", index=False)
    return tmp_path


def run(checkout: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "steps" / "new_project.py"), *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout), "SLIPWAY_CACHE": str(checkout / "cache")}
    return subprocess.run(
        command, cwd=cwd or checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_passed_is_0_from_any_folder_of_the_checkout(checkout: Path) -> None:
    done = run(checkout, "--name", "churn", "--csv", "rows.csv", "--target", "left", "--json", cwd=checkout / "sources")
    assert done.returncode == 0, done.stderr
    assert "new_project: passed: projects/churn is ready: binary, 3 features from 4 columns" in done.stderr
    assert json.loads(done.stdout)["outcome"] == "passed"
    assert 'path: "sources/rows.csv"' in (checkout / "projects/churn/params.yaml").read_text()
    assert "- churn" in (checkout / "params.yaml").read_text()
    assert (checkout / "reports/all/new_project.html").is_file()


def test_bad_input_is_2_in_one_line_and_nothing_is_written(checkout: Path) -> None:
    done = run(checkout, "--name", "churn", "--csv", "sources/rows.csv", "--target", "lefd")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "new_project: bad input: --target: no column 'lefd' (did you mean 'left'?)"
    assert not (checkout / "projects").exists()
    assert "churn" not in (checkout / "params.yaml").read_text()
    assert json.loads((checkout / "reports/all/new_project.json").read_text())["exit_code"] == 2


def test_a_missing_option_is_2_and_named(checkout: Path) -> None:
    done = run(checkout, "--name", "churn", "--csv", "sources/rows.csv")
    assert done.returncode == 2
    assert "--target" in done.stderr.splitlines()[0]
