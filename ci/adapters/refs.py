"""The door to Git's objects and refs, as the ledger needs it: with time limits, no shell, no prompt, no hook."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.process import Finished, run
from ci.errors import BadInput, Unavailable
from ci.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = "."
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "LANGUAGE": "C"}
_LOST = ("stale info", "fetch first", "already exists", "non-fast-forward", "cannot lock ref", "failed to update ref",
         "failed to lock", "reference already exists", "atomic transaction failed", "atomic push failed")  # fmt: skip
_IDENTITY = "slipway", "slipway@localhost"
_FETCH_AGAIN = 6


@dataclass(frozen=True)
class Refs:
    """Refs and objects of the repository around the current folder; `remote` is a remote's name, or None."""

    remote: str | None
    timeout_s: float = 60.0

    def here(self, *patterns: str) -> dict[str, str]:
        """Map the refs of this clone that match to their objects."""
        done = git("for-each-ref", "--format=%(objectname) %(refname)", *patterns)
        return {name: id_ for id_, name in (line.split(" ", 1) for line in done.out.splitlines())}

    def there(self, *patterns: str) -> dict[str, str]:
        """
        Map the refs of the remote that match to their objects.

        Raises:
            Unavailable: it does not answer.
        """
        done = git("ls-remote", str(self.remote), *patterns, timeout_s=self.timeout_s, may_fail=True)
        if done.code:
            raise Unavailable(f"{self.remote}: does not answer ({why(done)})")
        found = (line.split("\t", 1) for line in done.out.splitlines() if "\t" in line)
        return {name: id_ for id_, name in found if not name.endswith("^{}")}

    def fetch(self, *specs: str) -> bool:
        """
        Fetch refs; False if one of them would have replaced another one here. A shallow clone stays shallow.

        Raises:
            Unavailable: the remote does not answer.
        """
        shallow = git("rev-parse", "--is-shallow-repository").out.strip() == "true"
        depth = ["--depth=1"] if shallow else []
        command = ["fetch", "--no-tags", "--quiet", "--no-write-fetch-head", *depth, str(self.remote), *specs]
        for attempt in range(_FETCH_AGAIN):
            done = git(*command, timeout_s=self.timeout_s, may_fail=True)
            if not done.code or not any(word in done.err for word in ("cannot lock ref", "Unable to create", "shallow file has changed")):  # fmt: skip
                break
            time.sleep(0.05 * (1 + attempt))  # another process in this clone fetches, too
        if done.code and not any(word in done.err for word in ("would clobber", "rejected")):
            raise Unavailable(f"{self.remote}: the ledger cannot be fetched ({why(done)})")
        return done.code == 0

    def publish(self, changes: Mapping[str, tuple[str, str | None]]) -> bool:
        """
        Set refs, all or none: each to an object, if it still has the former one; False if one has not.

        Raises:
            Unavailable: the remote does not take them.
        """
        leases = [f"--force-with-lease={ref}:{former or ''}" for ref, (_, former) in changes.items()]
        specs = [f"{id_}:{ref}" for ref, (id_, _) in changes.items()]
        place = self.remote or HERE
        done = git("push", "--quiet", "--no-verify", "--atomic", *leases, place, *specs, timeout_s=self.timeout_s, may_fail=True)  # fmt: skip
        if done.code and not any(word in done.err for word in _LOST):
            raise Unavailable(f"{self.remote or 'this clone'}: does not take the ledger's tags ({why(done)})",
                              hint="may you push tags and refs/slipway/* there?")  # fmt: skip
        return done.code == 0

    def remember(self, refs: Mapping[str, str]) -> None:
        """Set refs of this clone to what the remote has taken."""
        for ref, id_ in refs.items():
            git("update-ref", ref, id_, may_fail=True)  # the next reading fetches what this could not write

    def tags(self, *patterns: str) -> list[Tag]:
        """Read the tags of this clone that match."""
        shape = "%(refname:strip=2)%09%(objecttype)%09%(objectname)%09%(*objectname)%09%(contents)%00"
        done = git("for-each-ref", f"--format={shape}", *patterns)
        found = (part.lstrip("\n").split("\t", 4) for part in done.out.split("\0") if part.strip())
        return [Tag(name, id_, peeled or id_, text, kind == "tag") for name, kind, id_, peeled, text in found]

    def tag_object(self, name: str, commit: str, message: str, tagger: str, at: int) -> str:
        """Write an annotated tag's object, which no ref names yet; `at` in seconds since 1970."""
        text = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger} {at} +0000\n\n{message}"
        with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
            Path(folder, "tag").write_text(text, encoding="utf-8")
            return git("hash-object", "-t", "tag", "-w", "--", str(Path(folder, "tag"))).out.strip()

    def commit_beside(self, parent: str, files: Mapping[str, bytes], message: str) -> str:
        """Make a commit on no branch: the parent's tree with some files replaced, at the parent's time."""
        when = git("show", "--no-patch", "--format=%ct +0000", parent).out.strip()
        return self.commit_on([parent], parent, files, message, when)

    def commit_on(self, parents: Sequence[str], base: str, files: Mapping[str, bytes], message: str, when: str) -> str:
        """Make a commit that no ref names yet: the tree of `base` with some files replaced; `when` as Git reads it."""
        prefix = git("rev-parse", "--show-prefix").out.strip()
        with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            git("read-tree", base, environment=index)
            for path, data in files.items():
                Path(folder, "file").write_bytes(data)
                blob = git("hash-object", "-w", "--no-filters", "--", str(Path(folder, "file"))).out.strip()
                git("update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{path}", environment=index)
            tree = git("write-tree", environment=index).out.strip()
        on = [word for parent in parents for word in ("-p", parent)]
        return git("commit-tree", tree, *on, "-m", message, environment=_identity(when)).out.strip()


def head_commit() -> str:
    """
    Return the commit of the checkout.

    Raises:
        BadInput: there is none.
    """
    done = git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", may_fail=True)
    if done.code:
        raise BadInput("not a Git repository with a commit: the ledger needs one", hint="git init && git commit")
    return done.out.strip()


def has_head() -> bool:
    """Whether this is a checkout with a commit."""
    try:
        head_commit()
    except BadInput:
        return False
    return True


def remotes() -> list[str]:
    """List the remotes; `origin` first."""
    names = git("remote", may_fail=True).out.split()
    return sorted(names, key=lambda name: (name != "origin", name))


def git(*arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 60.0, may_fail: bool = False) -> Finished:  # fmt: skip
    """
    Run Git.

    Raises:
        Unavailable: it failed, and may not.
    """
    done = run(["git", *arguments], timeout_s=timeout_s, extra_environment={**_QUIET, **(environment or {})})
    if done.code and not may_fail:
        raise Unavailable(f"git {arguments[0]}: {why(done)}")
    return done


def why(done: Finished) -> str:
    """Return the line in which Git says what is wrong."""
    lines = [line for line in done.err.splitlines() if line.strip() and not line.startswith("hint:")]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", " !"))]
    return ((fatal or lines or [f"ended with {done.code}"])[0]).strip()[:200]


def _identity(when: str) -> dict[str, str]:
    name, email = _IDENTITY
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", name), ("EMAIL", email), ("DATE", f"@{when}"))}  # fmt: skip


__all__: Sequence[str] = ("Refs", "git", "head_commit", "remotes", "why")
