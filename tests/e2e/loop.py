"""
A team's whole world on one machine, for the loop that labels close: a clone with a remote, two environments with a real
Envoy, and the real collection service, into which real flights are replayed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ci.adapters.fetch import cache_folder
from ci.collecting.spelling import request_ids
from ci.model.scoring import Scorer
from ci.project import find
from tests.e2e.collection import ROOT, TOKEN, Collection, collecting

PRODUCTION = """\
  - name: production
    root: "{host}"
    keep_warm_s: 0
    strategy: {{kind: canary, steps: [{{weight: 50, pause_s: 0}}]}}
    events: {{url: "{collector}", token_env: LOOP_TOKEN, rate: 1.0}}
    verification:
      by: statistics
      window_s: 1
      lag_s: 0.3
      stale_s: 4
      deadline_s: 120
      idle_s: 6
      standard: [errors, quality]
      metrics:  # for a short test on a busy machine; the project's params.yaml has those for production
        errors: {{negligible: 0.02, limit: 0.02, critical: false}}  # all of alpha is for quality here
        quality: {{measure: brier, allowed_increase: 0.02}}  # it answers probabilities
      collector: {{url: "{collector}", token_env: LOOP_TOKEN, timeout_s: 60}}
watching: {{k: 2, n: 3, quiet_s: 60}}
retraining: {{cooldown_s: 0, daily: 100, new_days: 7}}
"""
# What a team may say of refreshes: learned anew every month, and this much may be lost to the release before.
PROJECT = """
gate:
  promote: non_inferior
  reason: a refresh with the latest months
  cost: {p99_ms: 400}  # of a machine that plays everybody's part at once
  metrics: {auc: {margin: 0.02}, log_loss: {margin: 0.03}, brier: {margin: 0.01}}
retrain: {on: schedule, every_days: 28}
"""


@dataclass
class Loop:
    """The clone, and everything around it."""

    folder: Path
    collection: Collection
    patience_s: float = 900
    told: list[str] = field(default_factory=list)

    @property
    def clone(self) -> Path:
        """Where the team works."""
        return self.folder / "clone"

    def environ(self) -> dict[str, str]:
        """Return what steps are given: a home of their own, and the token in a variable."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLIPWAY_", "GIT_", "BUILD_"))}
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "loop"), ("EMAIL", "loop@example.org"))}  # fmt: skip
        return {**kept, **who, "HOME": str(self.folder / "home"), "SLIPWAY_CACHE": str(cache_folder()),
                "OMP_NUM_THREADS": "1", "LOOP_TOKEN": TOKEN, "SLIPWAY_COLLECTOR_TOKEN": TOKEN,
                "SLIPWAY_COLLECTOR_URL": self.collection.url}  # fmt: skip

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone."""
        return subprocess.run(command, cwd=self.clone, env=self.environ(), capture_output=True, text=True,
                              timeout=self.patience_s, check=False)  # fmt: skip

    def step(self, name: str, *arguments: str, codes: tuple[int, ...] = (0,), project: str | None = "flights") -> Any:
        """Run a step, hold its end against what is expected; return its report with its exit `code`."""
        named = ["--project", project] if project else []
        done = self.run(sys.executable, "-m", f"steps.{name}", *named, *arguments)
        assert done.returncode in codes, (name, arguments, done.returncode, done.stderr[-2500:])
        report = json.loads((self.clone / "reports" / (project or "all") / f"{name}.json").read_text())
        self.told.append(f"{name} {' '.join(arguments)}: {done.returncode}: {report['message']}")
        return {**report, "code": done.returncode}

    def git(self, *arguments: str) -> str:
        """Run Git."""
        done = self.run("git", *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def change(self, file: str, pattern: str, by: str) -> None:
        """Change the one place of a file that a pattern finds."""
        path = self.clone / file
        text, count = re.subn(pattern, lambda _: by, path.read_text("utf-8"), count=1, flags=re.MULTILINE | re.DOTALL)
        assert count == 1, pattern
        path.write_text(text, "utf-8")

    def commit(self, message: str) -> None:
        """Commit what changed, if anything did, and let everybody have it."""
        if not self.git("status", "--porcelain", "--untracked-files=no").strip():
            return
        self.git("commit", "-qam", message)
        self.git("push", "-q", "origin", "HEAD")

    def as_of(self, day: str | None = None) -> str:
        """Return as_of, or move it."""
        if day:
            self.change("projects/flights/params.yaml", r"^as_of: [^\n]*", f'as_of: "{day}"')
        return re.findall(
            r'^as_of: "([\d-]+)"', (self.clone / "projects/flights/params.yaml").read_text(), re.MULTILINE
        )[0]

    def build(self) -> None:
        """Make data, model, evaluation and bundle anew."""
        for stage in ("ingest", "check_data", "prepare", "train", "evaluate", "bundle"):
            self.step(stage)

    def release(self) -> str:
        """Judge and package what was built; return its version, such as v0.2.0."""
        self.step("gate")
        return self.packaged(self.step("package", "--as", "data"))

    @staticmethod
    def packaged(report: Any) -> str:
        """Return the version that a report of `steps.package` names."""
        return str(re.findall(r"flights@(v[\d.]+)", report["message"])[0])

    def newest(self) -> str:
        """Return the newest release of the ledger."""
        tags = self.git("tag", "--list", "flights@v*", "--sort=-v:refname").split()
        return tags[0].partition("@")[2]

    def promote(self, version: str, why: str, codes: tuple[int, ...] = (0,)) -> Any:
        """Bring a release through staging into production, where a canary needs callers."""
        self.step("deploy", "--env", "staging", "--release", version)
        with self.callers():
            return self.step("promote", "--to", "production", "--release", version, "--reason", why, codes=codes)

    @contextmanager
    def callers(self) -> Iterator[None]:
        """Send synthetic requests to production, if anything runs there; they become no events."""
        if not self.live():
            yield
            return
        command = [sys.executable, "-m", "steps.load", "--project", "flights", "--env", "production", "--rate", "80",
                   "--seconds", "600"]  # fmt: skip
        started = subprocess.Popen(command, cwd=self.clone, env=self.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            yield
        finally:
            started.terminate()
            started.wait(30)

    def _place(self) -> Any:
        return self.step("status", codes=(0, 3, 4), project=None)["data"]["places"]

    def live(self) -> str | None:
        """Return the version that is live in production."""
        place = next((p for p in self._place() if (p["project"], p["environment"]) == ("flights", "production")), None)
        return place["actual"] if place else None

    def door(self) -> str:
        """Return production's front door."""
        place = next(p for p in self._place() if (p["project"], p["environment"]) == ("flights", "production"))
        return str(place["door"])

    def replay(self, first: str, last: str, share: float) -> Any:
        """Play days of the world; a share of its flights is asked about at the live front door."""
        return self.step("replay", "--periods", f"{first}..{last}", "--url", self.collection.url, "--token-env",
                         "LOOP_TOKEN", "--door", self.door(), "--share", str(share), "--patience-s", "120")  # fmt: skip

    def joined(self) -> list[dict[str, Any]]:
        """Return all predictions whose label is known."""
        return list(_pages(self.collection.url))

    def records(self, first: str, last: str) -> Any:
        """Play months in which nobody asks for predictions."""
        return self.step(
            "replay", "--periods", f"{first}..{last}", "--url", self.collection.url, "--token-env", "LOOP_TOKEN"
        )

    def took_over(self) -> bool:
        """Whether rows come from the collection service."""
        return "collector: {since" in (self.clone / "projects/flights/params.yaml").read_text()

    def scored(self, version: str, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return what another release would have answered to the same requests; shape (n_rows,)."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.clone)
            contract = find("flights").contract
        frame = self._records({row["event_time"][:7] for row in rows})
        frame.index = pd.Index(request_ids(frame, contract, "flights"))
        asked = frame.loc[[row["request_id"] for row in rows]]
        return np.asarray(Scorer(self._bundle(version) / "model.onnx", contract).score(asked))

    def _records(self, months: set[str]) -> pd.DataFrame:
        parts = []
        for month in sorted(months):
            request = urllib.request.Request(
                f"{self.collection.url}/v1/flights/periods/{month}/records.parquet",
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                parts.append(pd.read_parquet(io.BytesIO(answer.read())))
        return pd.concat(parts, ignore_index=True)

    def _bundle(self, version: str) -> Path:
        rows = self.joined()
        digest = next(row["bundle"] for row in rows if row["version"] == version.removeprefix("v"))
        return self.folder / "host" / "bundles" / digest.removeprefix("sha256:")


def _pages(url: str) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        request = urllib.request.Request(
            f"{url}/v1/flights/joined?after_id={after}&limit=10000", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            rows = [json.loads(line) for line in answer.read().splitlines()]
        if not rows:
            return
        yield from rows
        after = rows[-1]["id"]


@contextmanager
def looping(folder: Path, *, test_days: int = 30) -> Iterator[Loop]:
    """Make such a world below a folder; the newest `test_days` days judge a model, and are not learned from."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    origin, loop = folder / "origin.git", Loop(folder, Collection(f"http://127.0.0.1:{port}"))
    for command in (["git", "clone", "-q", "--bare", "--single-branch", "--no-tags", str(ROOT), str(origin)],
                    ["git", "clone", "-q", str(origin), str(loop.clone)]):  # fmt: skip
        subprocess.run(command, check=True)
    host = folder / "host"
    loop.change(
        "params.yaml", r"^  - name: production.*\Z", PRODUCTION.format(host=host, collector=loop.collection.url)
    )
    loop.change("params.yaml", r"^  - name: staging\n", f'  - name: staging\n    root: "{host}"\n    keep_warm_s: 0\n')
    loop.change("params.yaml", r"remote: null", "remote: origin")
    loop.change("projects/flights/params.yaml", r"\Z", PROJECT)
    # December moves the target by more than the check lets pass by itself (PSI .25); this team has said that it may.
    loop.change(
        "projects/flights/params.yaml",
        r"critical: \[carrier, origin\]",
        "critical: [carrier, origin]\n    target_psi: 0.5",
    )
    loop.change("projects/flights/params.yaml", r"test_days: 30[^\n]*", f"test_days: {test_days}")
    loop.change("projects/flights/params.yaml", r"max_iter: 200", "max_iter: 60")
    loop.change("projects/flights/params.yaml", r"learning_rate: 0.05", "learning_rate: 0.15")
    loop.commit("A world of its own")
    loop.step("contracts", "--only", "flights", "--folder", str(folder / "contracts"), project=None)
    with ExitStack() as stack:
        stack.enter_context(collecting(folder / "collection", folder / "contracts", port))
        stack.callback(_stopped, loop)
        yield loop


def _stopped(loop: Loop) -> None:
    for environment in ("production", "staging"):
        with contextlib.suppress(AssertionError):
            loop.step("stop", "--env", environment)


def days(first: str, number: int) -> str:
    """Return the day that is so many days after another."""
    return str(date.fromisoformat(first) + timedelta(days=number))
