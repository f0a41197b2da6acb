"""Checkouts of this repository with one small project, so that real DVC runs take seconds."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

CONTRACT = """\
description: Will this customer come back?
owner: shop@example.org
task: binary
target: back
event_time: day
cluster: day
keys: [id]
slices: [town]
columns:
  age: {type: integer, minimum: 0, maximum: 120}
  spent: {type: number, nullable: true, minimum: 0}
  town: {type: string, categories: [Köln, Łódź, York]}
  day: {type: datetime, role: meta}
  id: {type: integer, role: meta}
  back: {type: boolean, role: target}
"""
PARAMS = """\
as_of: "2024-04-01"
source:
  period: month
  eras:
    - name: shop
      start: "2024-01-01"
      tables:
        visits: {kind: file, path: "SOURCE", time: day}
check: {min_rows: 50}
split: {strategy: time, test_days: 20}
train: {seed: 1, estimator: {max_iter: 20}, parity_rows: 50}
evaluate: {}
"""


@dataclass
class Checkout:
    """A clone with its own cache; `run` runs a step in it."""

    path: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.command(sys.executable, "-m", *arguments, **environment)

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments,
            cwd=self.path,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def environment(self, **more: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "GIT_"))}
        return {**clean, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(self.path), **more}

    def clone(self, where: Path) -> Checkout:
        """Clone as a colleague would; the DVC remote is the one that the repository names."""
        subprocess.run(["git", "clone", "--quiet", str(self.path), str(where)], check=True)
        return Checkout(where)

    def commit(self, message: str = "change") -> None:
        for command in (["add", "--all", "."], ["commit", "--quiet", "--allow-empty", "--message", message]):
            identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
            subprocess.run(["git", *identity, *command], cwd=self.path, check=True)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.path / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")


def visits(rows: int = 1200, seed: int = 5) -> pd.DataFrame:
    """Visits to a shop over three months; the older and the more spent, the likelier they come back."""
    draw = np.random.default_rng(seed)
    age, spent = draw.integers(18, 90, rows), draw.gamma(2.0, 20.0, rows).round(2)
    chance = 1 / (1 + np.exp(-(age - 50) / 30 - (spent - 40) / 30))
    made = pd.DataFrame(
        {"id": np.arange(rows), "age": age, "spent": spent, "town": draw.choice(["Köln", "Łódź", "York"], rows)}
    )
    made["day"] = (
        pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(draw.integers(0, 91, rows)), unit="D")
    ).strftime("%Y-%m-%d")
    made.loc[draw.random(rows) < 0.05, "spent"] = np.nan
    return made.assign(back=draw.random(rows) < chance)


def new_checkout(path: Path, *, remote: str | None = None) -> Checkout:
    """Copy what this repository tracks or would track, with `shop` as the only project, and commit it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if name.split("/")[0] not in {"tests", "docs", "serving", "bench", "projects"} and (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, path / name)
    (path / "dvc.lock").unlink(missing_ok=True)
    source = path.parent / "visits.csv"
    visits().to_csv(source, index=False)
    shop = path / "projects" / "shop"
    shop.mkdir(parents=True)
    (path / "projects" / "__init__.py").touch()
    for name, text in {"contract.yaml": CONTRACT, "params.yaml": PARAMS.replace("SOURCE", str(source))}.items():
        (shop / name).write_text(text, encoding="utf-8")
    for name in ("__init__.py", "source.py", "features.py", "model.py"):
        (shop / name).touch()
    (path / "params.yaml").write_text("projects: [shop]\nremote: {timeout_s: 60, jobs: 2}\n")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=path, check=True)
    made = Checkout(path)
    (path / ".dvc" / "config").write_text(
        f"[core]\n    analytics = false\n    remote = here\n['remote \"here\"']\n    url = {remote or path.parent / 'remote'}\n"
    )
    made.commit("begin")
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "clone").mkdir()
    return new_checkout(tmp_path / "clone")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(answers: object, seconds: float = 30.0) -> None:
    """Wait until a callable says yes."""
    end = time.monotonic() + seconds
    while not answers():  # type: ignore[operator]
        assert time.monotonic() < end, "it never answered"
        time.sleep(0.1)
