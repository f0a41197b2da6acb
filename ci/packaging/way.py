"""What the three ways to package a bundle have in common; `embedded`, `service` and `data` in `ci.packaging.ways`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ci.releases.record import Packaged, Packaging
    from ci.report import Check


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be packaged, and under which name; digests in hex."""

    project: str
    version: str
    folder: Path
    bundle: str
    recipe: str
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What one way made: where it lies, what was found when it was tried, and how to use it."""

    checks: Sequence[Check]
    packaged: Packaged | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    use: Sequence[str] = ()


class Way(Protocol):
    """One packaging; whatever it needs from this machine is asked for when it is needed."""

    @property
    def kind(self) -> Packaging:
        """Its name."""

    def recipe(self) -> str:
        """
        Hex digest of what makes it beside the bundle.

        Raises:
            Unavailable: this machine cannot make it; the hint says what would help.
        """

    def make(self, order: Order) -> Product:
        """Build, try and push it; without `packaged` where a check rejected it, and then nothing was pushed."""
