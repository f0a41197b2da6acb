"""The life of the process: open, serve, drain."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

from collector import periods
from collector.app import App
from collector.errors import StoreError
from collector.retention import tidying
from collector.state import State
from collector.store.opening import opened
from serving import log
from serving.draining import Draining, configured
from serving.errors import BadOption
from serving.listening import listening
from serving.problems import Problem
from serving.protocol import Connection

if TYPE_CHECKING:
    import socket

    from uvicorn.config import Config

    from collector.settings import Settings
    from collector.state import Project

_SWEEP_S = 0.25
_MEASURE_S = 0.5
_SWITCH_S = 0.0005  # a thread that judges a delivery lets the one that writes go on


class Server(Draining):
    """Reads its contracts and tokens again on SIGHUP."""

    def __init__(self, config: Config, state: State) -> None:
        super().__init__(config, state)
        self.state = state

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so: from here on signals are ours, too."""
        await super().startup(sockets)
        settings, port = self.state.settings, sockets[0].getsockname()[1] if sockets else 0
        log.info("listening", host=settings.host, port=port, projects=sorted(self.state.projects),
                 store=settings.store.partition(":")[0], version=self.state.version)  # fmt: skip

    def hang_up(self) -> None:
        """Read contracts and tokens again; what cannot be used changes nothing."""
        self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        try:
            await asyncio.to_thread(self.state.load)
            log.info("reloaded", projects=sorted(self.state.projects))
        except (BadOption, StoreError) as error:
            log.error("not reloaded", reason=str(error))

    async def sweep(self) -> None:
        """End what is overdue."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            connections: Any = list(self.server_state.connections)
            for connection in connections:
                connection.sweep(loop.time())


async def serve(settings: Settings) -> int:
    """
    Serve until told to stop; returns the exit code.

    Raises:
        BadOption: a setting, contract or token cannot be used.
        Unreachable: the database does not answer.
    """
    sys.setswitchinterval(_SWITCH_S)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
    state = State(settings, opened(settings.store, timeout_s=settings.commit_timeout_s))
    try:
        await asyncio.to_thread(state.load)
        listener = listening(settings.host, settings.port)
        server = Server(_config(settings, App(state)), state)
        tasks = [
            asyncio.create_task(server.sweep()),
            asyncio.create_task(_compact(state)),
            asyncio.create_task(_measure(state)),
            asyncio.create_task(tidying(state)),
        ]
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await asyncio.to_thread(state.close)
    log.info("stopped", exit_code=0)
    return 0


async def _measure(state: State) -> None:
    """Look at the disk now and then."""
    while True:
        await asyncio.sleep(_MEASURE_S)
        try:
            await asyncio.to_thread(state.disk.look)
        except OSError as error:
            log.warning("the disk cannot be measured", reason=str(error))


async def _compact(state: State) -> None:
    """
    Write the files of settled periods before anybody asks; only of projects for which something came here meanwhile.

    A former release that is kept warm shares the folder, and knows another contract: it leaves the files to the live one.
    """
    seen: dict[str, float | None] = {}
    while state.settings.compact_every_s:
        await asyncio.sleep(state.settings.compact_every_s)
        for name, project in list(state.projects.items()):
            newest = state.telemetry.newest(name)
            if newest == seen.get(name):
                continue
            try:
                await _compact_settled(state, project)
                seen[name] = newest
            except (Problem, StoreError, OSError) as error:
                log.warning("not compacted", project=project.contract.project, reason=str(error))


async def _compact_settled(state: State, project: Project) -> None:
    contract = project.contract
    name = contract.project
    days, removed = await state.look(lambda view: (view.days(name), view.removed(name)))
    newest = periods.watermark(days, contract)
    done = [span for span in periods.spans(days, contract, removed) if periods.settled(span.period, contract, newest)]
    await state.compaction.fresh(contract, done)


def _config(settings: Settings, app: App) -> Config:
    names = ("max_connections", "header_timeout_s", "body_timeout_s")
    limited = type("LimitedConnection", (Connection,), {name: getattr(settings, name) for name in names})
    return configured(app, limited, settings)
