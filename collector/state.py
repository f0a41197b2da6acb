"""What the parts of a running service share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector import VERSION
from collector.contract import load_all
from collector.disk import Disk
from collector.event_form import EventForm
from collector.outcome_form import OutcomeForm
from collector.periods import Compaction
from collector.record_form import RecordForm
from collector.sensitive import Guard
from collector.telemetry import Telemetry
from collector.tokens import Tokens
from collector.writer import Writer
from serving.wire import Bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.contract import Contract
    from collector.forms import Form
    from collector.settings import Settings
    from collector.store.interface import Kind, Session, Store, View

_READERS = 4


class Project:
    """One contract, and how its records are read."""

    def __init__(self, contract: Contract, settings: Settings) -> None:
        self.contract = contract
        self.guard = Guard(contract, settings.hash_key)
        self.rows = RecordForm(contract, self.guard, settings.max_ahead_s)
        self.forms: dict[Kind, Form] = {
            "records": self.rows,
            "events": EventForm(contract, self.guard, settings.max_ahead_s),
            "outcomes": OutcomeForm(contract, self.guard, settings.max_ahead_s),
        }
        self.shape = 0  # of `rows` in the store


class State:
    """Made once, on the event loop."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.version = settings.release_version or VERSION
        self.draining = False
        self.projects: dict[str, Project] = {}
        self.tokens: Tokens = Tokens({})
        self.bodies = Bodies(settings)
        self.reading = ThreadPoolExecutor(1, "door")  # deliveries are judged one after the other
        self.looking = ThreadPoolExecutor(_READERS, "look")
        self.telemetry = Telemetry(self.version)
        self.disk = Disk(settings, store)
        self.compaction = Compaction(settings, store.identity)
        self.writer = Writer(store, settings.max_waiting)

    @property
    def ready(self) -> bool:
        """Whether deliveries are taken."""
        return bool(self.projects) and not self.draining

    def load(self) -> None:
        """
        Read contracts and tokens, at the start and on SIGHUP; what is there stays if anything is wrong.

        Raises:
            BadOption: naming file and fact.
            StoreError: the store did not answer.
        """
        self.disk.look()
        tokens = Tokens.load(Path(self.settings.tokens))
        contracts = load_all(Path(self.settings.contracts))
        projects = {name: Project(contract, self.settings) for name, contract in contracts.items()}
        self.writer.ask(lambda session: _register(session, projects), 0).result(self.settings.commit_timeout_s)
        self.tokens, self.projects = tokens, projects

    async def look(self, work: Callable[[View], Any]) -> Any:
        """Look at the store, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.looking, self.store.read, work)

    def close(self) -> None:
        """Write what is waiting, and let go."""
        self.writer.close(self.settings.commit_timeout_s)
        self.reading.shutdown(wait=False, cancel_futures=True)
        self.looking.shutdown(wait=False, cancel_futures=True)
        self.store.close()


def _register(session: Session, projects: dict[str, Project]) -> None:
    for name, project in projects.items():
        project.shape = session.shape(name, project.rows.columns)
