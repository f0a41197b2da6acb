"""What can go wrong with the store; settings and contracts raise `serving.errors.BadOption`."""

from __future__ import annotations


class StoreError(Exception):
    """The store did not do what it was asked; nothing of the transaction was kept."""


class Unreachable(StoreError):  # noqa: N818 # reads like the answer it becomes
    """The database does not answer, or took too long; the sender tries again."""


class Full(StoreError):  # noqa: N818 # reads like the answer it becomes
    """There is no room, or there would be none left."""
