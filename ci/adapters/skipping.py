"""The door to what was committed since a build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ci.adapters.refs import git
from ci.publishing.skipping import Since, news

if TYPE_CHECKING:
    from ci.report import Result
    from ci.shared import Shared

_MOST = 1000


def look(since: str, shared: Shared) -> Result:
    """Name the projects if there is anything but published data since a commit, which may be unknown here."""
    return news(_since(since), shared.projects)


def _since(commit: str) -> Since | None:
    if (
        not re.fullmatch(r"[0-9a-f]{40,64}", commit)
        or git("cat-file", "-e", f"{commit}^{{commit}}", may_fail=True).code
    ):
        return None
    if git("merge-base", "--is-ancestor", commit, "HEAD", may_fail=True).code:
        return None
    log = git("log", f"--max-count={_MOST}", "--format=%B%x00", f"{commit}..HEAD").out
    messages = [message.strip() for message in log.split("\0") if message.strip()]
    names = git("diff", "--name-only", "--no-renames", "--relative", "-z", commit, "HEAD").out.split("\0")
    paths = [name for name in names if name]
    params = {path: (_read(commit, path), _read("HEAD", path)) for path in paths if path.endswith("/params.yaml")}
    return Since(messages, paths, params)


def _read(commit: str, path: str) -> bytes | None:
    done = git("show", f"{commit}:./{path}", may_fail=True)
    return done.out.encode() if done.code == 0 else None
