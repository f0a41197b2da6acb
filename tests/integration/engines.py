"""A container engine for tests: the one that answers, or one that is started for them and ended after the last."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
_USERS = Path(tempfile.gettempdir(), f"slipway-engine-users-{os.getuid()}")


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """Yield where the engine is; skip with the reason where there is none, and none can be started."""
    pytest.importorskip("docker", reason="the Docker SDK is not installed")
    own = _USERS / str(os.getpid())
    with _alone():
        before = _setup("status")
        started = _setup("start")
        if started.returncode:
            pytest.skip(started.stderr.strip() or "no container engine")
        own.write_text("")
        if before.returncode:
            (_USERS / "ours").touch()
    try:
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    finally:
        with _alone():
            own.unlink()
            others = [path for path in _USERS.iterdir() if path.name.isdigit() and Path("/proc", path.name).exists()]
            if (_USERS / "ours").exists() and not others:
                _setup("stop")
                (_USERS / "ours").unlink()


def base_image() -> str:
    """Return the id of the base image; make it from Debian packages, once for an engine."""
    done = subprocess.run([ROOT / "ci/setup/base-image"], capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    return done.stdout.strip()


def _setup(word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "ci/setup/docker", word], capture_output=True, text=True, timeout=120)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One worker at a time: the first starts the engine, the last one ends it."""
    _USERS.mkdir(exist_ok=True)
    with (_USERS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
