"""What collecting and replaying need of the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.data.held import Held, Kind, Quarantined, Receipt, State


class Service(Protocol):
    """The collection service of one project; every call may raise BadInput (refused) or Unavailable (no answer)."""

    def state(self) -> State:
        """Say how far the project has come."""

    def periods(self) -> list[Held]:
        """List what is held, by period, oldest first."""

    def send(self, kind: Kind, rows: Sequence[dict[str, Any]]) -> Receipt:
        """Send a batch until it is acknowledged; sending it twice changes nothing."""

    def quarantine(self, limit: int) -> list[Quarantined]:
        """Return the oldest records that wait for a person."""


class Door(Protocol):
    """The front door of a live service."""

    def ask(self, asked: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, int]:
        """Ask for predictions, `(request id, inputs)` each; return how many ended in which way, such as `answered`."""
