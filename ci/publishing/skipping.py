"""Whether a build has anything to look at: published data commits move data alone, and were checked when they were made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.publishing.committing import TRAILER
from ci.publishing.moved import unlike
from ci.report import Check, Found, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOVES = re.compile(r"dvc\.lock|datasets/[a-z][a-z0-9_]*/[^/]+|projects/[a-z][a-z0-9_]*/params\.yaml")


@dataclass(frozen=True, slots=True)
class Since:
    """What was committed since a build: `params` maps changed params files to what they were and what they are."""

    messages: Sequence[str]
    paths: Sequence[str]
    params: Mapping[str, tuple[bytes | None, bytes | None]]


def news(since: Since | None, projects: Sequence[str]) -> Result:
    """Name every project, or none if published data are all that was committed; when in doubt, there is news."""
    why = _news(since)
    names = list(projects) if why else []
    message = why or f"nothing but published data: {', '.join(_named(since.messages if since else ()))}"
    return Result(message, checks=[Check("news", Found.PASSED, message)], data={"projects": names})


def _news(since: Since | None) -> str:
    """Say what there is to look at; nothing if published data are all."""
    if since is None:
        return "nobody knows what was built before"
    if not since.messages:
        return "the same commit is built again"
    if len(_named(since.messages)) < len(since.messages):
        return "not every commit since the last build publishes data"
    if others := [path for path in since.paths if not _MOVES.fullmatch(path)]:
        return f"a commit that publishes data has changed {others[0]}, too"
    for path, (before, after) in since.params.items():
        if before is None or after is None or unlike(before, after, path):
            return f"a commit that publishes data has changed more in {path} than as_of and source"
    return ""


def _named(messages: Sequence[str]) -> list[str]:
    """Return what each commit publishes, of those that publish data."""
    found = (re.findall(rf"^{TRAILER}: (\S+)$", message, re.MULTILINE) for message in messages)
    return [names[-1] for names in found if names]
