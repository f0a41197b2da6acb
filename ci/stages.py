"""What `dvc repro` says of its stages, read line by line: DVC's own Python objects do not tell it while it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNNING = re.compile(r"^Running stage '(?P<stage>[^']+)'")
_CACHED = re.compile(r"^Stage '(?P<stage>[^']+)' is cached - skipping run")
_UNCHANGED = re.compile(r"^Stage '(?P<stage>[^']+)' didn't change, skipping")
_PULLING = re.compile(r"^Pulling data for stage: '(?P<stage>[^']+)'")
_FAILED = re.compile(r"^ERROR: (?P<why>.*)")
_FAILED_STAGE = re.compile(r"failed to reproduce '(?P<stage>[^']+)'")
_SAVED = re.compile(r"^(Updating lock file|Generating lock file|To track the changes with git)")


class Did(StrEnum):
    """What happened to a stage."""

    RAN = "ran"
    CACHED = "came from the run cache"
    UNCHANGED = "skipped, nothing changed"
    FAILED = "failed"


@dataclass
class Stage:
    """One stage in one run; `seconds` is wall time."""

    name: str
    did: Did
    seconds: float = 0.0


@dataclass
class Log:
    """Reads DVC's output line by line; `clock` tells seconds."""

    clock: Callable[[], float]
    stages: list[Stage] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    running: bool = False
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._since = self.clock()

    def line(self, text: str) -> None:
        """Take note of one line."""
        if found := _RUNNING.match(text):
            self._begin(found["stage"], Did.RAN)
            self.running = True
        elif found := _CACHED.match(text):
            self._begin(found["stage"], Did.CACHED)
        elif found := _UNCHANGED.match(text):
            self._begin(found["stage"], Did.UNCHANGED)
        elif _PULLING.match(text) or _SAVED.match(text):
            self._close()
        elif found := _FAILED.match(text):
            self._close()
            self.errors.append(found["why"])
            if (named := _FAILED_STAGE.search(found["why"])) is not None:
                self._failed(named["stage"])

    def end(self) -> None:
        """Close the last stage."""
        self._close()

    def add(self, later: Log) -> None:
        """Take over what a later run did: of a stage in both, what was more than a look at it."""
        done = {stage.name: stage for stage in self.stages if stage.did is not Did.UNCHANGED}
        again = {stage.name for stage in later.stages}
        kept = [stage for stage in self.stages if stage.name in done or stage.name not in again]
        news = [stage for stage in later.stages if stage.did is not Did.UNCHANGED or stage.name not in done]
        replaced = {stage.name for stage in news}
        self.stages = [stage for stage in kept if stage.name not in replaced] + news
        self.errors += later.errors

    @property
    def failed(self) -> str | None:
        """The stage that failed, such as `gate@flights`."""
        return next((stage.name for stage in self.stages if stage.did is Did.FAILED), None)

    def _begin(self, name: str, did: Did) -> None:
        self._close()
        self._since = self.clock()
        self.stages.append(Stage(name, did))

    def _close(self) -> None:
        if self.stages and not self.stages[-1].seconds:
            self.stages[-1].seconds = self.clock() - self._since
        self.running = False

    def _failed(self, name: str) -> None:
        known = next((stage for stage in self.stages if stage.name == name), None)
        if known is None:
            known = Stage(name, Did.FAILED)
            self.stages.append(known)
        known.did = Did.FAILED
