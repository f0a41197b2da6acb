"""The life of the process: start, load, serve, swap, drain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from serving import log
from serving.app import App
from serving.draining import Draining, configured
from serving.errors import BAD_INPUT
from serving.protocol import limited
from serving.quick import QuickWay

if TYPE_CHECKING:
    import socket

    from uvicorn.config import Config

    from serving.state import State

_SWEEP_S = 0.25


class Server(Draining):
    """Loads a model first, and looks for another on SIGHUP."""

    def __init__(self, config: Config, state: State) -> None:
        super().__init__(config, state)
        self.state = state

    def hang_up(self) -> None:
        """Look for another bundle."""
        self._looking = asyncio.get_running_loop().create_task(self.state.repository.look("SIGHUP"))

    async def begin(self) -> None:
        """Load the first model; without one there is no point in staying."""
        swap = await self.state.repository.look("start")
        if swap.outcome == "refused":
            self.leave(BAD_INPUT)
        elif self.state.settings.poll_s:
            await self.state.repository.poll()

    async def sweep(self) -> None:
        """End what is overdue."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            connections: Any = list(self.server_state.connections)
            for connection in connections:
                connection.sweep(loop.time())


async def serve(state: State, listener: socket.socket) -> int:
    """Serve until told to stop; returns the exit code."""
    settings, events = state.settings, state.events
    server = Server(_config(App(state)), state)
    log.info("listening", host=settings.host, port=listener.getsockname()[1], model=settings.model)
    tasks = [asyncio.create_task(server.begin()), asyncio.create_task(server.sweep())]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
        state.close()
        if events:
            await asyncio.to_thread(events.close, 5.0)
    log.info("stopped", exit_code=server.exit_code)
    return server.exit_code


def _config(app: App) -> Config:
    settings = app.state.settings
    return configured(app, limited(settings, None if settings.access_log == "all" else QuickWay(app)), settings)
