"""`make run` as a newcomer types it, in a checkout of its own; a second time, and `make stop`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE = (
    "data",
    "models",
    "artifacts",
    ".dvc/cache",
    "dvc.lock",
)  # what `make test` has built before: same code, same bytes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree's files as a first commit elsewhere, with nothing of its ledgers, registry or environments."""
    if not (ROOT / "artifacts/flights/manifest.json").is_file():
        pytest.skip("no bundles here yet: make test makes them first (python -m steps.repro)")
    root = tmp_path_factory.mktemp("tour") / "slipway"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    for name in MADE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name)
        elif (ROOT / name).is_file():
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    for command in (["init", "-q", "-b", "main"], ["add", "-A", "--", ":!.venv", ":!dvc.lock"],
                    ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=root, check=True)
    yield root
    for project in ("flights", "houses"):
        for environment in ("staging", "production"):
            stop = [".venv/bin/python", "-m", "steps.stop", "--project", project, "--env", environment]
            subprocess.run(stop, cwd=root, check=False, capture_output=True)


def typed(root: Path, *command: str) -> str:
    """Run a command as a person would; no engine, so that the same is made everywhere."""
    environment = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1", "HOME": str(root.parent / "home")}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900, env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def report(root: Path, name: str) -> dict:
    return json.loads((root / f"reports/{name}.json").read_text(encoding="utf-8"))


def door(root: Path, project: str, environment: str) -> str:
    (row,) = [row for row in report(root, "all/status")["tables"][0]["rows"] if row[:2] == [project, environment]]
    return next(cell for cell in row if str(cell).startswith("http"))


def test_make_run_ends_with_releases_live_in_both_environments(checkout: Path) -> None:
    said = typed(checkout, "sh", "ci/tour")
    assert "12 were up to date" in said or "12 stages" in said
    broken = report(checkout, "flights/deploy")
    assert broken["outcome"] == "rolled back", broken["message"]
    assert "worse in scores" in broken["message"]
    assert report(checkout, "flights/load")["message"].endswith("none failed")
    typed(checkout, ".venv/bin/python", "-m", "steps.status")
    for project in ("flights", "houses"):
        golden = json.loads((checkout / f"artifacts/{project}/golden.json").read_text(encoding="utf-8"))
        for environment in ("staging", "production"):
            request = urllib.request.Request(
                f"{door(checkout, project, environment)}/predict",
                json.dumps(golden["rows"][0]).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.load(answer)["predictions"][0] == pytest.approx(golden["outputs"][0], rel=1e-5)
                assert answer.headers["X-Slipway-Release"].startswith(f"{project}@1.0.")


def test_a_second_run_builds_nothing_and_releases_nothing(checkout: Path) -> None:
    tags = subprocess.run(["git", "tag"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    said = typed(checkout, "sh", "ci/tour")
    assert "12 were up to date" in said
    assert len(re.findall("already released as", said)) >= 2
    assert subprocess.run(["git", "tag"], cwd=checkout, capture_output=True, text=True, check=True).stdout == tags


def test_make_stop_leaves_nothing_running(checkout: Path) -> None:
    typed(checkout, "make", "stop", "-o", ".venv/.ready")
    deadline = time.monotonic() + 15  # a supervisor that has nothing left to watch ends by itself, within seconds
    while str(checkout) in (
        running := subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    ):
        assert time.monotonic() < deadline, [line for line in running.splitlines() if str(checkout) in line]
        time.sleep(0.2)
