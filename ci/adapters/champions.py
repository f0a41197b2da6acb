"""The door to champions: a bundle in a folder, in a Git revision (fetched through DVC), or of the live release."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.process import run
from ci.errors import BadInput, Unavailable
from ci.files import replacing_folder
from ci.gate.champion import NONE, Champion
from ci.model.bundle import MANIFEST

if TYPE_CHECKING:
    from ci.gate.champion import LiveRelease

_KEPT = Path(".slipway", "champions")


@dataclass(frozen=True)
class FoundChampions:
    """Finds bundles; `live` is the release ledger, None as long as there is none."""

    timeout_s: float
    live: LiveRelease | None = None

    def find(self, project: str, wanted: str | None) -> Champion:
        """
        Find the champion: `none`, a folder, a Git revision, or (nothing wanted) the live release's bundle.

        Raises:
            BadInput: neither a bundle's folder nor a revision that has one.
            Unavailable: DVC did not get it from cache or remote.
        """
        if not wanted:
            return self._live(project)
        if wanted == NONE:
            return Champion(None, "there is no champion, as --champion none says")
        if (folder := Path(wanted)).is_dir():
            return Champion(folder, wanted)
        return self._of_revision(project, wanted)

    def _live(self, project: str) -> Champion:
        if self.live is None:
            return Champion(None, "no --champion was named and there is no release ledger yet", asked_for=False)
        found = self.live.live(project)
        if found is None:
            return Champion(None, f"nothing is live yet {self.live.where}".strip())
        champion = self.find(project, found)
        return Champion(champion.folder, f"{champion.source}, live {self.live.where}".strip())

    def _of_revision(self, project: str, revision: str) -> Champion:
        commit = run(
            ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"], timeout_s=30
        )
        if commit.code:
            raise BadInput(
                f"{revision}: neither a folder nor a Git revision",
                hint="--champion takes a bundle's folder, a revision, or none",
            )
        sha = commit.out.strip()
        kept = _KEPT / project / sha
        if not (kept / MANIFEST).is_file():
            self._fetch(project, sha, kept)
        return Champion(kept, f"{revision} ({sha[:10]})" if revision != sha else sha[:10])

    def _fetch(self, project: str, sha: str, target: Path) -> None:
        """Get the bundle as it was in a commit; nobody sees half of it."""
        source = f"artifacts/{project}"
        self._has_output(source, sha)
        with replacing_folder(target) as beside:
            command = [
                sys.executable,
                "-m",
                "dvc",
                "get",
                "--quiet",
                "--force",
                "--rev",
                sha,
                "-o",
                str(beside / "got"),
                ".",
                source,
            ]
            done = run(command, timeout_s=self.timeout_s, extra_environment={"DVC_NO_ANALYTICS": "1"})
            if done.code:
                why = [line for line in done.err.splitlines() if line.strip()][-1:] or [f"ended with {done.code}"]
                raise Unavailable(
                    f"{source} of {sha[:10]}: dvc get: {why[0][:200]}", hint="was it pushed? `dvc push --all-commits`"
                )
            for item in (beside / "got").iterdir():
                item.rename(beside / item.name)
            (beside / "got").rmdir()

    def _has_output(self, source: str, sha: str) -> None:
        locked = run(["git", "show", f"{sha}:dvc.lock"], timeout_s=30)
        if locked.code or f"path: {source}\n" not in locked.out:
            raise BadInput(
                f"{sha[:10]}: its dvc.lock names no {source}", hint="choose a commit that a build has locked"
            )
