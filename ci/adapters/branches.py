"""
The door to a branch that is moved without a checkout: objects and refs alone, whatever lies in the working tree.

With a remote, its word is the last one; without, the branch is this clone's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters.process import run
from ci.adapters.refs import Refs, git, head_commit
from ci.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SEEN = "refs/slipway/branches/"


@dataclass(frozen=True)
class GitBranch:
    """Satisfies `ci.publishing.interface.Branch`."""

    refs: Refs
    name: str

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.name} of {self.refs.remote}" if self.refs.remote else f"{self.name} of this clone alone"

    @property
    def head(self) -> str:
        """The commit of the checkout."""
        return head_commit()

    def tip(self) -> str | None:
        """
        Return the commit that the branch is at, fetched; None if there is no such branch.

        Raises:
            Unavailable: the remote does not answer.
        """
        ref = f"refs/heads/{self.name}"
        if self.refs.remote is None:
            return self.refs.here(ref).get(ref)
        there = self.refs.there(ref).get(ref)
        if there is not None:
            self.refs.fetch(f"+{ref}:{_SEEN}{self.name}")
            there = self.refs.here(_SEEN + self.name).get(_SEEN + self.name)
        return there

    def holds(self, tip: str, commit: str) -> bool:
        """Whether a commit is in the history of another, as far as this clone reaches."""
        return git("merge-base", "--is-ancestor", commit, tip, may_fail=True).code == 0

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file as it is at a commit; None if it is not there."""
        prefix = git("rev-parse", "--show-prefix").out.strip()
        done = run(["git", "show", f"{commit}:{prefix}{path}"], timeout_s=60)
        return done.out.encode() if done.code == 0 else None

    def last(self, tip: str, path: str) -> str:
        """Return the last commit in the history of another that changed a file."""
        done = git("log", "-1", "--format=%H", tip, "--", path, may_fail=True)
        return done.out.strip() or tip

    def changed(self, commit: str, paths: Sequence[str]) -> list[str]:
        """List which of some paths are in the working tree otherwise than at a commit, or not there at all."""
        found = git("ls-tree", "-r", "--name-only", "-z", commit, "--", *paths).out.split("\0") if paths else []
        kept = {path for path in paths if any(name == path or name.startswith(f"{path}/") for name in found)}
        differ = git("diff", "--name-only", "-z", commit, "--", *sorted(kept)).out.split("\0") if kept else []
        return sorted({*(path for path in paths if path not in kept), *(name for name in differ if name)})

    def commit(self, parents: Sequence[str], base: str, files: Mapping[str, bytes], message: str, when: int) -> str:
        """Make a commit that no branch names yet: the tree of `base` with some files replaced, at `when` (seconds)."""
        return self.refs.commit_on(parents, base, files, message, f"{when} +0000")

    def push(self, commit: str, former: str | None) -> bool:
        """
        Move the branch from `former` (None: it is new) to a commit; False if somebody else has moved it.

        Raises:
            BadInput: it is checked out here, and there is no remote.
            Unavailable: the remote does not take it.
        """
        if self.refs.remote is None and self._checked_out():
            raise BadInput(f"publish.branch: {self.name} is checked out in this clone, and there is no remote",
                           hint="publish to another branch, or set ledger.remote in params.yaml")  # fmt: skip
        return self.refs.publish({f"refs/heads/{self.name}": (commit, former)})

    def _checked_out(self) -> bool:
        listed = git("worktree", "list", "--porcelain").out.splitlines()
        return f"branch refs/heads/{self.name}" in listed
