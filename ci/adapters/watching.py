"""Puts together what a watch stands on; keeps its memory in a file beside the environment's state."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ci.adapters import environments, floors
from ci.files import held, read_json, write_json
from ci.params import parse
from ci.promotion.checks import place_of
from ci.watching.state import Memory
from ci.watching.watch import Post, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.ledger.interface import By
    from ci.params_environments import Environment
    from ci.report import Result
    from ci.shared import Shared
    from ci.watching.watch import Watched


@dataclass(frozen=True)
class FileKeeper:
    """`<root>/watch/<environment>/<project>.json`."""

    path: Path
    project: str
    environment: str

    @classmethod
    def of(cls, environment: Environment, project: str) -> FileKeeper:
        """Return the memory that lies beside an environment's state."""
        path = Path(environment.root, "watch", environment.name, f"{project}.json")
        return cls(path, project, environment.name)

    @property
    def place(self) -> str:
        """Where it lies."""
        return str(self.path)

    def read(self) -> Memory:
        """Read it."""
        if not self.path.is_file():
            return Memory(project=self.project, environment=self.environment)
        return parse(Memory, read_json(self.path), str(self.path))

    def write(self, memory: Memory) -> None:
        """Write it beside, flush, rename."""
        write_json(self.path, memory.model_dump(mode="json"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no second watch decide at the same time."""
        with held(self.path.with_suffix(".lock"), f"the watch of {self.project} in {self.environment}"):
            yield


def watched(project: str, environment: str, common: Shared, by: By, *, dry_run: bool) -> Result:
    """
    Look once at what is live.

    Raises:
        BadInput: there is no such environment.
        Unavailable: another watch is at work, or what should be asked does not answer.
    """
    target = common.environments[place_of(environment, common.environments)]
    keeper = FileKeeper.of(target, project)
    post = Post(
        environment,
        cast("Watched", environments.running(project, target, common)),
        environments.watcher(project, _holding(target), common),
        floors.records(project, target, common, timeout_s=floors.AT_NIGHT_S),
        keeper,
        common.watching,
    )
    with keeper.alone():
        return watch(project, post, by, dry_run=dry_run)


def _holding(environment: Environment) -> Environment:
    """Return an environment in which "not enough evidence" is not taken for "worse", whatever rollouts take it for."""
    policy = getattr(environment, "verification", None)
    if policy is None:
        return environment
    return environment.model_copy(update={"verification": policy.model_copy(update={"at_deadline": "hold"})})
