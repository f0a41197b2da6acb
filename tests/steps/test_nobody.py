"""Steps on an agent in a container: a user whom no passwd knows, no HOME that could be written, no terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT

UID = 54_321
PARAMS = "projects: [shop]\nenvironments: [{name: staging}]\n"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv on the path"),
]


def as_nobody(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    there = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *command]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        there,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A repository of a user whom nobody knows; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="slipway-nobody-") as name:
        folder = Path(name)
        (folder / "projects/shop").mkdir(parents=True)
        (folder / "projects/shop/contract.yaml").touch()
        (folder / "params.yaml").write_text(PARAMS)
        (folder / "dvc.yaml").touch()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, UID, UID)
        if as_nobody(folder, sys.executable, "-c", "import ci.cli").returncode:
            pytest.skip("this checkout or its packages are closed to others")
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        assert as_nobody(folder, "git", "init", "--quiet").returncode == 0
        assert as_nobody(folder, "git", *who, "commit", "--quiet", "--allow-empty", "-m", "begin").returncode == 0
        yield folder


@pytest.mark.parametrize(
    ("step", "given", "code"),
    [
        ("describe", (), 0),
        ("history", ("--project", "shop"), 0),
        ("mark", ("--project", "shop", "--release", "v1.0.0", "--reason", "leaks"), 2),  # whoever asks is named
    ],
)
def test_a_step_ends_as_it_should(place: Path, step: str, given: tuple[str, ...], code: int) -> None:
    done = as_nobody(place, sys.executable, "-m", f"steps.{step}", *given)
    assert done.returncode == code, done.stderr
    assert "crashed" not in done.stderr
    assert list(place.glob(f"reports/*/{step}.html"))
    if step == "mark":
        assert "unknown version" in done.stderr
