"""Where the champion comes from, as the gate sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

NONE = "none"


@dataclass(frozen=True, slots=True)
class Champion:
    """
    The bundle to beat: its folder, None where there is none.

    source  how it was found or why not, for people
    at      folder or revision under which it is found again
    live    it is the live release's, not one that somebody named
    """

    folder: Path | None
    source: str
    asked_for: bool = True
    at: str | None = None
    live: bool = False


class LiveRelease(Protocol):
    """The release ledger, as far as the gate needs it."""

    @property
    def where(self) -> str:
        """Say where a release must be live to be the champion, such as `in production`."""

    def live(self, project: str) -> str | None:
        """
        Return the name of the live release, such as flights@v1.4.0; None if nothing is live.

        Raises:
            BadInput: the ledger cannot be trusted: that is no first release.
            Unavailable: it does not answer.
        """

    def released(self, project: str, name: str) -> Path | None:
        """Return the bundle of a release by name, out of the registry; None if there is no such release or bundle."""


class Champions(Protocol):
    """Whatever finds a champion."""

    def find(self, project: str, wanted: str | None) -> Champion:
        """Find a bundle by folder, by Git revision, or (nothing wanted) the live release's; `none` is none."""
