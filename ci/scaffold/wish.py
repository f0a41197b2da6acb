"""What a person asks of the scaffold, and whether the name is free."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.contract import Task
from ci.errors import BadInput
from ci.params import SERVICES
from ci.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_RESERVED = {"all", *SERVICES}  # reports/all/ belongs to steps without a project, the others to services
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # ci.params.ProjectName: a Python package and an image tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of `steps.new_project`; what is None is guessed."""

    name: str
    csv: Path
    target: str
    event_time: str | None = None
    keys: Sequence[str] = ()
    task: str | None = None
    positive: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    force: bool = False
    dry_run: bool = False

    @property
    def folder(self) -> Path:
        """Where the project will lie."""
        return ROOT / self.name

    @property
    def wanted_task(self) -> Task | None:
        """The task, if one was asked for."""
        return Task(self.task) if self.task else None

    def where(self, root: Path) -> str:
        """Spell the CSV as params.yaml will: relative to `root` if it lies below, absolute if not."""
        return str(self.csv.relative_to(root) if self.csv.is_relative_to(root) else self.csv)

    def checked(self) -> Wish:
        """
        Return itself, if a project may be called so.

        Raises:
            BadInput: not a name for a Python package and a Docker tag, reserved, or taken.
        """
        if not _NAME.fullmatch(self.name):
            raise BadInput(
                f"--name: {self.name[:60]!r} is no project name", hint="a letter first, then a-z, 0-9 and _; at most 40"
            )
        if self.name in _RESERVED:
            raise BadInput(f"--name: {self.name} is reserved")
        if self.folder.exists() and not self.force:
            raise BadInput(f"{self.folder}: there is already such a project", hint="choose another --name, or --force")
        return self

    def column(self, option: str, name: str, columns: Sequence[str]) -> str:
        """
        Return `name`, if it is one of `columns`.

        Raises:
            BadInput: it is not; the message says which ones there are, or the nearest.
        """
        if name in columns:
            return name
        near = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
        near = near or [other for other in columns if other.strip().casefold() == name.strip().casefold()]
        shown = ", ".join(columns[:20]) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
        raise BadInput(
            f"{option}: no column {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
            hint=f"columns: {shown}",
        )
