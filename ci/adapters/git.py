"""The door to Git."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ci.adapters.process import run
from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence


def head() -> str | None:
    """Return the commit of the checkout, or None outside of one (or before its first commit)."""
    try:
        found = run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], timeout_s=20)
    except (BadInput, Unavailable):
        return None
    return found.out.strip() or None


def same_since(commit: str, paths: Sequence[str]) -> bool:
    """Whether some paths are in the checkout as they were at a commit; not if that commit is not in this clone."""
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return False
    try:
        return run(["git", "diff", "--quiet", commit, "--", *paths], timeout_s=60).code == 0
    except (BadInput, Unavailable):
        return False
