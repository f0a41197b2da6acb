"""What promotion and rollback ask of others, beside the ledger and what runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ci.ledger.event import Draft
    from ci.releases.record import Release


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that the ledger has not heard of; not `ended`: its movement began, and nobody said how it ended."""

    key: str
    draft: Draft
    ended: bool


class Queue(Protocol):
    """Events of one project in one environment, kept with the environment until the ledger has them."""

    @property
    def place(self) -> str:
        """Where they lie, for people."""

    def put(self, waiting: Waiting) -> None:
        """Keep one, in the place of the one with the same key."""

    def drop(self, key: str) -> None:
        """Forget one."""

    def waiting(self) -> list[Waiting]:
        """List them, first to last."""


class Signatures(Protocol):
    """Whoever knows by whose key a release is known."""

    def why_not(self, release: Release) -> str | None:
        """
        Say what speaks against a release's signature; None if a trusted key made it.

        Raises:
            Unavailable: the registry does not answer.
        """
