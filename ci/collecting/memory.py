"""How far a replay has come; believed only while the service has what it was sent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from ci.params import Model

if TYPE_CHECKING:
    from ci.collecting.spans import Span
    from ci.data.held import State


class Memory(Model):
    """What was sent: everything of `[start, until)`, to one service through one door under one contract."""

    start: datetime
    until: datetime
    contract: str
    records: int = Field(description="How many the service had by then.")


class Keeper(Protocol):
    """Where memory lies."""

    def read(self) -> Memory | None:
        """Return what is remembered; None if nothing is, or nothing readable."""

    def write(self, memory: Memory) -> None:
        """Remember, in one piece."""


def goes_on(memory: Memory | None, span: Span, contract: str, state: State) -> Memory | None:
    """Return what may be left out of a span; nothing if the service lost it, or the contract is another."""
    if memory is None or memory.contract != contract or state.records < memory.records:
        return None
    return memory if memory.start <= span.start <= memory.until else None
