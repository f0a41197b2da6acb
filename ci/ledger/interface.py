"""What others ask of the ledger; `ci.adapters.ledger` keeps it in Git."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ci.errors import Unavailable

if TYPE_CHECKING:
    from ci.ledger.event import Draft, Event
    from ci.ledger.history import History
    from ci.releases.record import Release


@dataclass(frozen=True, slots=True)
class By:
    """Who does it, and in which build; `reason` in a person's words."""

    actor: str
    reason: str = ""
    build: str | None = None


class Quicker(Unavailable):
    """Somebody else has changed what is live since one looked: a lost race, nothing was written."""


class Ledger(Protocol):
    """Events per project, in one order; with a remote, its word is the last one."""

    @property
    def place(self) -> str:
        """Where it is kept, for people."""

    def history(self, project: str, *, offline: bool = False) -> History:
        """
        Read everything; `offline` does with what this clone knows.

        Raises:
            Unavailable: the remote does not answer.
        """

    def register(self, release: Release, by: By) -> Event:
        """
        Give a release its commit and its tag; the very same release again is no error and changes nothing.

        Raises:
            BadInput: another release has this version, or what there is cannot be trusted.
            Unavailable: the remote does not answer.
        """

    def add(self, draft: Draft, seen: History | None = None) -> Event:
        """
        Put an event last. With `seen`, only if nothing has become live in its environment since.

        Raises:
            BadInput: its release is unknown, or what there is cannot be trusted.
            Quicker: something has.
            Unavailable: the remote does not answer.
        """
