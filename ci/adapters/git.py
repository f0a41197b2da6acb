"""The door to Git."""

from __future__ import annotations

from ci.adapters.process import run
from ci.errors import BadInput, Unavailable


def head() -> str | None:
    """Return the commit of the checkout, or None outside of one (or before its first commit)."""
    try:
        found = run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], timeout_s=20)
    except (BadInput, Unavailable):
        return None
    return found.out.strip() or None
