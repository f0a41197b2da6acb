"""The door to who somebody is, as far as a build or a machine can tell."""

from __future__ import annotations

import getpass
import os
import unicodedata
from typing import TYPE_CHECKING

from ci.adapters.process import run
from ci.errors import BadInput, StepError
from ci.ledger.interface import By

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST, LONGEST_NAME = 2000, 200  # characters
_TURNING = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # they show text in another order than it has
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
    """
    Return who acts, why, and in which build.

    Raises:
        BadInput: words that no ledger, report or notice may hold.
    """
    return By(str(name("--actor", actor(named, environ))), words("--reason", reason), environ.get("BUILD_URL") or None)


def name(option: str, text: str | None) -> str | None:
    """Return a person's name, if one was given. Raises as `words`."""
    return None if text is None else words(option, text, LONGEST_NAME)


def words(option: str, text: str, longest: int = LONGEST) -> str:
    """
    Return what a person typed: any text, but of bounded length, and without signs that command a terminal or a reader.

    Raises:
        BadInput: too long, or with control characters; the text itself is not repeated.
    """
    if len(text) > longest:
        raise BadInput(f"{option}: {len(text):,} characters, at most {longest:,}")
    for place, sign in enumerate(text, 1):
        if (unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\t\n") or sign in _TURNING:
            raise BadInput(f"{option}: character {place} is a control character (U+{ord(sign):04X})")
    return text.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
