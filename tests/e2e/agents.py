"""Agents of a team: clones of one remote with homes of their own, and the key that all of them are given."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.adapters.fetch import cache_folder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Agent:
    """A clone with a home of its own."""

    path: Path
    name: str
    key: str  # the team's, as Jenkins gives it to each agent

    @classmethod
    def of(cls, origin: Path, folder: Path, name: str) -> Agent:
        made = cls(folder / name / "clone", name, (folder / "team.pem").read_text("ascii"))
        (folder / name / "home").mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", str(origin), str(made.path)], check=True)
        return made

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLIPWAY_", "GIT_", "BUILD_"))}
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", self.name), ("EMAIL", f"{self.name}@example.org"))}  # fmt: skip
        home = {"HOME": str(self.path.parent / "home"), "SLIPWAY_CACHE": str(cache_folder()), "OMP_NUM_THREADS": "1",
                "SLIPWAY_SIGNING_KEY": self.key}  # fmt: skip
        return subprocess.run(
            command,
            cwd=self.path,
            env={**kept, **who, **home},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def step(self, name: str, *arguments: str, code: int = 0, project: str | None = "flights") -> dict[str, Any]:
        """Run a step, hold its end against what is expected, and return its report."""
        named = ["--project", project] if project else []
        done = self.run(sys.executable, "-m", f"steps.{name}", *named, *arguments)
        assert done.returncode == code, (name, arguments, done.stderr[-1500:])
        return dict(json.loads((self.path / "reports" / (project or "all") / f"{name}.json").read_text()))

    def commit(self, file: str, pattern: str, by: str, message: str) -> None:
        """Change a file, and let everybody have it."""
        path = self.path / file
        text, count = re.subn(pattern, lambda _: by, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
        assert count == 1, pattern
        path.write_text(text, encoding="utf-8")
        for command in (["commit", "-qam", message], ["push", "-q"]):
            done = self.run("git", *command)
            assert done.returncode == 0, done.stderr

    def build(self, *stages: str) -> None:
        for stage in stages:
            self.step(stage)

    def live_at(self, moment: str) -> dict[str, str | None]:
        told = self.step("history", "--at", moment)["data"]["live"]
        return {name: event["version"] if event else None for name, event in told.items()}


def team_key(folder: Path) -> None:
    """Write a key of the team, and its public half."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "team.pem").write_bytes(key.private_bytes(pem, *plain))
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "team.pub").write_bytes(public)
