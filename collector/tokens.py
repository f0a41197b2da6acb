"""
Who may do what, by bearer token.

The file holds a line per sender: a name, scopes by comma, and the SHA-256 of the token. A scope is `send`, `read` or
`correct`, for one project with `:project` behind it. `python -m collector.tokens NAME SCOPES` makes a token.

Reads   COLLECTOR_TOKENS
Writes  one line into that file; the token to stdout
Exits   0 made, 2 the file, the name or a scope cannot be used
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from serving.errors import BadOption
from serving.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

SCOPES = ("send", "read", "correct")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}", re.ASCII)
_SCOPE = re.compile(r"(send|read|correct)(:[a-z][a-z0-9_]{0,39})?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Sender:
    """Somebody with a token."""

    def __init__(self, name: str, scopes: Sequence[str]) -> None:
        self.name, self._scopes = name, frozenset(scopes)

    def may(self, scope: str, project: str | None) -> bool:
        """Whether a scope was given, for all projects or for this one."""
        return scope in self._scopes or (project is not None and f"{scope}:{project}" in self._scopes)


class Tokens:
    """All senders, by the digest of their tokens: what is compared is a digest, so that time tells nothing."""

    def __init__(self, senders: dict[str, Sender]) -> None:
        self._senders = senders

    @classmethod
    def load(cls, file: Path) -> Tokens:
        """
        Read the file.

        Raises:
            BadOption: naming line and fact.
        """
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            hint = "python -m collector.tokens NAME send,read makes one"
            raise BadOption(f"COLLECTOR_TOKENS: {file}: {getattr(error, 'strerror', error)}; {hint}") from error
        senders: dict[str, Sender] = {}
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if words:
                fault = _fault(words)
                if fault:
                    raise BadOption(f"{file}: line {number}: {fault}")
                senders[words[2]] = Sender(words[0], words[1].split(","))
        if not senders:
            raise BadOption(f"{file}: nobody in it; python -m collector.tokens NAME send,read adds somebody")
        return cls(senders)

    def check(self, authorization: bytes, scope: str, project: str | None) -> Sender:
        """
        Return who asks.

        Raises:
            Problem: 401 without a known token, 403 where it does not have the scope.
        """
        scheme, _, token = authorization.partition(b" ")
        sender = self._senders.get(sha256(token.strip()).hexdigest()) if scheme.lower() == b"bearer" else None
        if sender is None:
            what = "is not known" if authorization else "is missing"
            raise Problem(
                401, "token", f"the bearer token {what}", headers=[(b"www-authenticate", b'Bearer realm="collector"')]
            )
        if not sender.may(scope, project):
            where = f" for {project}" if project else ""
            raise Problem(403, "scope", f"{sender.name} may not {scope}{where}")
        return sender


def _fault(words: Sequence[str]) -> str | None:
    if len(words) != 3:
        return "not of the form: name scopes sha256"
    if not _NAME.fullmatch(words[0]):
        return f"{words[0][:80]!r} is not a name"
    wrong = [scope for scope in words[1].split(",") if not _SCOPE.fullmatch(scope)]
    if wrong:
        return f"{wrong[0][:80]!r} is not a scope; there are {', '.join(SCOPES)}, each also with :project"
    return None if _DIGEST.fullmatch(words[2]) else "the third word is not a SHA-256 in hex"


def main(argv: Sequence[str]) -> int:
    """Make a token, print it, and add its digest to the file; returns the exit code."""
    if len(argv) != 2:
        sys.stderr.write("usage: python -m collector.tokens NAME SCOPES, such as: door-1 send\n")
        return 2
    token = secrets.token_urlsafe(32)
    words = [argv[0], argv[1], sha256(token.encode()).hexdigest()]
    fault = _fault(words)
    file = Path(os.environ.get("COLLECTOR_TOKENS", "tokens"))
    try:
        if fault:
            raise BadOption(fault)
        with file.open("a", encoding="utf-8") as out:
            out.write(" ".join(words) + "\n")
    except (OSError, BadOption) as error:
        sys.stderr.write(f"collector.tokens: bad input: {error}\n")
        return 2
    sys.stdout.write(token + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
