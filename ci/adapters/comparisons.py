"""
The door to the comparisons ledger: JSON files in a folder, or in a Git ref that travels with the repository.

docs/adr/0010-comparisons-ledger.md says why. A comparison is added with compare-and-swap: of two agents that claim the
same number, one is told that it lost.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.process import Finished, run
from ci.errors import BadInput, Unavailable
from ci.files import read_json, said_plainly, to_json
from ci.gate.budget import Comparison
from ci.params import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REF = "refs/slipway/comparisons"
FOLDER = Path(".slipway", "comparisons")
_ZERO = "0" * 40
_FETCH_AGAIN = 6
_WHO = {
    "GIT_AUTHOR_NAME": "slipway",
    "GIT_AUTHOR_EMAIL": "slipway@localhost",
    "GIT_COMMITTER_NAME": "slipway",
    "GIT_COMMITTER_EMAIL": "slipway@localhost",
}
_LOST = ("stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref")


@dataclass(frozen=True)
class FolderComparisons:
    """`<root>/<project>/<test set>/<number>.json`."""

    root: Path

    def of(self, project: str, test_set: str) -> list[Comparison]:
        """Return the comparisons against a test set, first to last."""
        return [_read(path) for path in sorted((self.root / project / test_set).glob("*.json"))]

    def by(self, project: str, challenger: str) -> list[Comparison]:
        """Return the comparisons in which a bundle was the challenger."""
        paths = [path for path in sorted((self.root / project).glob("*/*.json")) if _mentions(path, challenger)]
        return [found for path in paths if (found := _read(path)).pair.challenger == challenger]

    def others(self, project: str, test_set: str) -> list[tuple[Comparison, int]]:
        """Return the last comparison against each other test set, and how many there were."""
        folders = sorted(path for path in (self.root / project).glob("*") if path.name != test_set)
        found = [sorted(folder.glob("*.json")) for folder in folders]
        return [(_read(paths[-1]), len(paths)) for paths in found if paths]

    def add(self, comparison: Comparison) -> bool:
        """Write it under its number, whole or not at all; False if the number is taken."""
        path = self.root / where(comparison)
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as target:
                    target.write(to_json(comparison.model_dump(mode="json")))
                os.link(name, path)  # fails if it is there, unlike a rename
            except FileExistsError:
                return False
            finally:
                Path(name).unlink()
        return True

    def place(self) -> str:
        """Say where it is kept."""
        return f"{self.root} on this machine"


@dataclass(frozen=True)
class GitComparisons:
    """The same files in the tree of a ref; with a remote, every clone sees the same ones."""

    remote: str | None
    timeout_s: float = 60.0

    def of(self, project: str, test_set: str) -> Sequence[Comparison]:
        """Return the comparisons against a test set, first to last; the remote is asked each time."""
        with self._tree() as (folder, _):
            return folder.of(project, test_set)

    def by(self, project: str, challenger: str) -> Sequence[Comparison]:
        """Return the comparisons in which a bundle was the challenger."""
        with self._tree() as (folder, _):
            return folder.by(project, challenger)

    def others(self, project: str, test_set: str) -> Sequence[tuple[Comparison, int]]:
        """Return the last comparison against each other test set, and how many there were."""
        with self._tree() as (folder, _):
            return folder.others(project, test_set)

    def add(self, comparison: Comparison) -> bool:
        """Commit it on top of what is there and publish it; False if somebody else was quicker."""
        with self._tree() as (folder, former):
            if not folder.add(comparison):
                return False
            commit = self._commit(folder.root, where(comparison), former, f"{comparison.project}: {comparison.outcome}")
            if self.remote and not self._published(commit, former):
                return False
            return _git("update-ref", REF, commit, *([] if self.remote else [former or _ZERO]), may_fail=True).code == 0

    def place(self) -> str:
        """Say where it is kept."""
        return f"{REF} of {self.remote}" if self.remote else f"{REF} in this clone alone"

    @contextmanager
    def _tree(self) -> Iterator[tuple[FolderComparisons, str | None]]:
        """Lay the newest tree out in a folder of its own; yield it with its commit."""
        if self.remote:
            self._fetch()
        former = _git("rev-parse", "--verify", "--quiet", REF, may_fail=True).out.strip() or None
        with tempfile.TemporaryDirectory(prefix="slipway-") as name:
            if former:
                index = {"GIT_INDEX_FILE": str(Path(name, ".index"))}
                _git("read-tree", former, environment=index)
                _git("checkout-index", "--all", f"--prefix={name}/", environment=index)
            yield FolderComparisons(Path(name)), former

    def _fetch(self) -> None:
        remote = str(self.remote)
        there = _git("ls-remote", remote, REF, timeout_s=self.timeout_s, may_fail=True)
        if there.code:
            raise Unavailable(f"{remote}: does not answer ({_why(there)})", hint=_HINT)
        if there.out.strip():
            fetch = ("fetch", "--no-tags", "--quiet", remote, f"+{REF}:{REF}")
            done = _git(*fetch, timeout_s=self.timeout_s, may_fail=True)
            for attempt in range(_FETCH_AGAIN):
                if not done.code or "cannot lock ref" not in done.err:
                    break
                time.sleep(0.05 * (1 + attempt))  # another gate in this clone moved it meanwhile
                done = _git(*fetch, timeout_s=self.timeout_s, may_fail=True)
            if done.code:
                raise Unavailable(f"{remote}: {REF} cannot be fetched ({_why(done)})", hint=_HINT)

    def _commit(self, root: Path, path: Path, former: str | None, message: str) -> str:
        index = {"GIT_INDEX_FILE": str(root / ".index"), **_WHO}
        blob = _git("hash-object", "-w", "--", str(root / path)).out.strip()
        _git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path.as_posix()}", environment=index)
        tree = _git("write-tree", environment=index).out.strip()
        parents = ["-p", former] if former else []
        return _git("commit-tree", tree, *parents, "-m", message, environment=index).out.strip()

    def _published(self, commit: str, former: str | None) -> bool:
        """Push with a lease on what was seen; False if somebody else was quicker."""
        lease = f"--force-with-lease={REF}:{former or ''}"
        done = _git(
            "push", "--quiet", lease, str(self.remote), f"{commit}:{REF}", timeout_s=self.timeout_s, may_fail=True
        )
        if done.code and not any(word in done.err for word in _LOST):
            raise Unavailable(f"{self.remote}: does not take {REF} ({_why(done)})", hint=_HINT)
        return done.code == 0


_HINT = "`--comparisons local` judges without sharing the budget of the test set, and the report says so"


def found(wanted: str | None) -> FolderComparisons | GitComparisons:
    """
    Choose where the ledger is kept: a folder, `local` (this clone), or by default the Git remote if there is one.

    Raises:
        BadInput: the folder is a file.
    """
    if wanted and wanted != "local":
        if Path(wanted).is_file():
            raise BadInput(f"{wanted}: a file, not a folder for comparisons")
        return FolderComparisons(Path(wanted))
    if _git("rev-parse", "--git-dir", may_fail=True).code:
        return FolderComparisons(FOLDER)
    remotes = _git("remote", may_fail=True).out.split()
    if wanted == "local" or not remotes:
        return GitComparisons(None)
    return GitComparisons("origin" if "origin" in remotes else remotes[0])


def where(comparison: Comparison) -> Path:
    """Return the path of a comparison below the root."""
    return Path(comparison.project, comparison.test_set, f"{comparison.number:06d}.json")


def _mentions(path: Path, digest: str) -> bool:
    """Look before parsing: a ledger of years holds thousands of verdicts."""
    with said_plainly(path):
        return digest.encode() in path.read_bytes()


def _read(path: Path) -> Comparison:
    return parse(Comparison, read_json(path), f"comparisons ledger: {Path(*path.parts[-3:])}")


def _git(
    *arguments: str, environment: dict[str, str] | None = None, timeout_s: float = 30.0, may_fail: bool = False
) -> Finished:
    quiet = {"GIT_TERMINAL_PROMPT": "0", **(environment or {})}
    try:
        done = run(["git", *arguments], timeout_s=timeout_s, extra_environment=quiet)
    except BadInput:
        if may_fail:
            return Finished(127, "", "git: command not found")
        raise
    if done.code and not may_fail:
        raise Unavailable(f"git {arguments[0]}: {_why(done)}")
    return done


def _why(done: Finished) -> str:
    lines = [line for line in done.err.splitlines() if line.strip()]
    return (lines[-1] if lines else f"ended with {done.code}")[:160]
