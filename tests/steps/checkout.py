"""A small checkout with one project, in which steps run as the processes that they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import shop

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
CODE = ("ci", "steps", "templates")
STAGES = ("ingest", "check_data", "prepare", "train", "evaluate", "bundle")
OUTS = {
    "ingest": "data/shop/raw",
    "check_data": "data/shop/check.json",
    "prepare": "data/shop/prepared",
    "train": "models/shop/model",
    "evaluate": "models/shop/evaluation",
    "bundle": "artifacts/shop",
}


@dataclass(frozen=True)
class Ended:
    """How a step ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The line with the verdict."""
        return next((line for line in self.err.splitlines() if line.split(": ")[0] in STAGES), "")


@dataclass(frozen=True)
class Checkout:
    """The root of a checkout."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Checkout:
        """Lay out a checkout whose code is this one's and whose only project is the shop."""
        root.mkdir(parents=True, exist_ok=True)
        for name in CODE:
            (root / name).symlink_to(ROOT / name)
        (root / "dvc.yaml").write_text("stages: {}\n")
        (root / "params.yaml").write_text("projects: [shop]\n")
        made = cls(root)
        made.project()
        (root / "projects" / "__init__.py").touch()
        (root / "projects" / "shop" / "__init__.py").touch()
        made.deliver(shop.visits())
        return made

    def copy(self, root: Path) -> Checkout:
        """Copy it, with whatever was built in it; code stays a link."""
        shutil.copytree(self.root, root, symlinks=True, dirs_exist_ok=True)
        return Checkout(root)

    def project(self, **changes: Any) -> None:
        """Write the shop's contract and params, with changes; its table is rows.csv at the root."""
        source = {"source": {"eras": [shop.merged(shop.PARAMS["source"]["eras"][0])]}}
        shop.shop(self.root, contract=changes.get("contract"), params=shop.merged(source, changes.get("params", {})))

    def deliver(self, frame: pd.DataFrame, name: str = "rows.csv") -> None:
        """Replace the source."""
        frame.to_csv(self.root / name, index=False)

    def command(self, step: str, *arguments: str, project: str | None = "shop") -> list[str]:
        """Spell the command line of a step."""
        return [sys.executable, "-m", f"steps.{step}", *(["--project", project] if project else []), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment of its own: cache inside, nothing of the caller's Slipway or Git."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "GIT_", "BUILD_"))
        }
        return {**kept, "SLIPWAY_CACHE": str(self.root / ".cache"), "OMP_NUM_THREADS": "1", **more}

    def start(self, step: str, *arguments: str, project: str | None = "shop", **more: str) -> subprocess.Popen[str]:
        """Start a step and do not wait for it."""
        return subprocess.Popen(
            self.command(step, *arguments, project=project),
            cwd=self.root,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, step: str, *arguments: str, project: str | None = "shop", **more: str) -> Ended:
        """Run a step to its end."""
        process = self.start(step, *arguments, project=project, **more)
        out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def upto(self, stage: str) -> Ended:
        """Run the stages up to one; all but the last must pass."""
        for name in STAGES[: STAGES.index(stage)]:
            ended = self.run(name)
            assert ended.code == 0, ended.err
        return self.run(stage)

    def report(self, step: str, project: str = "shop") -> dict[str, Any]:
        """Read a step's report."""
        return dict(json.loads((self.root / "reports" / project / f"{step}.json").read_bytes()))

    def files(self, *below: str) -> dict[str, bytes]:
        """Return every file below some folders, by name."""
        found = [path for name in below for path in [self.root / name, *(self.root / name).rglob("*")]]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found if path.is_file()}

    def leftovers(self) -> list[str]:
        """List temporary files that somebody forgot."""
        below = [self.root / name for name in ("data", "models", "artifacts", "reports", ".cache")]
        return [str(path) for folder in below for path in folder.rglob(".*") if path.name != ".gitignore"]
