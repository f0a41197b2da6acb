"""What can be wrong with a bundle, and with the way this server was started."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "unreachable", "missing", "digest", "format", "unsigned", "signature", "graph", "golden", "incompatible", "internal"
]


BAD_INPUT = 2  # the exit code for a bundle or an option that cannot be used


class BundleError(Exception):
    """
    A bundle that must not serve.

    `reason` is one of a closed list, because it becomes a metric's label; the message names the file, then the fact.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class BadOption(Exception):  # noqa: N818 # reads like the answer it becomes
    """An option or environment variable that cannot be used; the message names it."""
