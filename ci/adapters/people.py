"""The door to who somebody is, as far as a build or a machine can tell."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from ci.adapters.process import run
from ci.errors import StepError
from ci.ledger.interface import By

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("BUILD_USER_ID", "BUILD_USER", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_NAME")


def actor(named: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return who acts: the named one, Jenkins's user, Git's, or the one that this process runs as."""
    candidates = [named, *(environ.get(name) for name in _VARIABLES)]
    for candidate in candidates:
        if candidate and candidate.strip():
            return candidate.strip()
    try:
        known = run(["git", "config", "user.email"], timeout_s=20).out.strip()
    except StepError:
        known = ""
    return known or _user()


def by(named: str | None, reason: str = "", environ: Mapping[str, str] = os.environ) -> By:
    """Return who acts, why, and in which build."""
    return By(actor(named, environ), reason, environ.get("BUILD_URL") or None)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
