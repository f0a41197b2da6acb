"""What a trigger asks of others; implementations live in ci/adapters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from ci.retraining.cases import Attempt
    from ci.retraining.rules import Fresh


@dataclass(frozen=True, slots=True)
class Wanted:
    """A retraining to start."""

    project: str
    request: str
    as_of: date
    reason: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class Starter(Protocol):
    """Starts retrainings and follows them; the same request, asked for again, is the same retraining."""

    @property
    def place(self) -> str:
        """Who is asked, for people."""

    def go_on(self, wanted: Wanted, attempt: Attempt, keep: Callable[[Attempt], None], *, wait: bool) -> Attempt:
        """
        Bring an attempt as far as it goes: ask, wait in the queue, follow the build; `keep` each step of the way.

        Raises:
            Unavailable: who should do it does not answer; what was kept is enough to go on later.
            BadInput: it was refused (no such job, no permission): asking again is useless.
        """


class Data(Protocol):
    """Knows what a release was learned from, and what there is now."""

    def fresh(self, version: str, as_of: date) -> Fresh:
        """
        Say what is new.

        Raises:
            Unavailable, BadInput: the source or the release does not answer.
        """
