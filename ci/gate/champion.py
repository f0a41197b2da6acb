"""Where the champion comes from, as the gate sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

NONE = "none"


@dataclass(frozen=True, slots=True)
class Champion:
    """The bundle to beat: its folder, None where there is none; `source` says how it was found or why not."""

    folder: Path | None
    source: str
    asked_for: bool = True


class LiveRelease(Protocol):
    """The release ledger, as far as the gate needs it."""

    @property
    def where(self) -> str:
        """Say where a release must be live to be the champion, such as `in production`."""

    def live(self, project: str) -> str | None:
        """
        Return a folder or revision with the live release's bundle; None if nothing is live.

        Raises:
            BadInput: the ledger cannot be trusted: that is no first release.
            Unavailable: it does not answer.
        """


class Champions(Protocol):
    """Whatever finds a champion."""

    def find(self, project: str, wanted: str | None) -> Champion:
        """Find a bundle by folder, by Git revision, or (nothing wanted) the live release's; `none` is none."""
