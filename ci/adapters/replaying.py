"""Puts together what a replay stands on; keeps how far it has come below `.slipway/`."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import tables
from ci.adapters.collector import Client
from ci.adapters.doors import FrontDoor
from ci.collecting.memory import Memory
from ci.collecting.replay import Stage, Wish, replay
from ci.collecting.spans import span
from ci.contract import plain
from ci.errors import StepError
from ci.files import held, read_json, sha256_of, write_json
from ci.params import parse

if TYPE_CHECKING:
    from ci.progress import Progress
    from ci.project import Project
    from ci.report import Result

FOLDER = Path(".slipway", "replay")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `steps.replay`."""

    periods: str
    url: str
    token_env: str
    door: str | None = None
    speed: float | None = None
    batch: int = 1000
    share: float = 1.0
    patience_s: float = 60.0
    again: bool = False


@dataclass(frozen=True)
class FileKeeper:
    """One file for each project, service and door; satisfies `ci.collecting.memory.Keeper`."""

    path: Path

    def read(self) -> Memory | None:
        """Return what is remembered; what cannot be read is forgotten: sending again changes nothing."""
        with suppress(StepError):
            return parse(Memory, read_json(self.path), str(self.path)) if self.path.is_file() else None
        return None

    def write(self, memory: Memory) -> None:
        """Remember, beside and then renamed."""
        write_json(self.path, memory.model_dump(mode="json"))


def replayed(project: Project, options: Options, progress: Progress) -> Result:
    """
    Play the world for a collection service.

    Raises:
        BadInput, Unavailable: as `ci.collecting.replay` says, or another replay of the same is at work.
    """
    client = sender(project, options, progress)
    door = FrontDoor(options.door, patience_s=options.patience_s) if options.door else None
    name = sha256_of([project.name, client.url, door.url if door else None])[:16]
    keeper = FileKeeper(FOLDER / f"{project.name}-{name}.json")
    wish = Wish(span(options.periods), options.speed, options.batch, options.share, options.again)
    stage = Stage(tables.opener_of(project), client, door, keeper, time.monotonic, time.sleep, progress)
    with held(keeper.path.with_suffix(".lock"), f"replay of {project.name} to {client.url}"):
        return replay(project, wish, stage)


def sender(project: Project, options: Options, progress: Progress) -> Client:
    """Return the door through which rows go in; its patience is that of someone who may send everything again."""
    token = os.environ.get(options.token_env, "").strip()
    contract = sha256_of(plain(project.contract))
    return Client(options.url, project.name, token, options.token_env, contract,
                  patience_s=options.patience_s, say=progress.line)  # fmt: skip
