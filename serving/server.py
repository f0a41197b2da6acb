"""The life of the process: start, load, serve, swap, drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import Server as Base

from serving import log
from serving.app import App
from serving.errors import BAD_INPUT
from serving.protocol import limited
from serving.quick import QuickWay

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from types import FrameType

    from serving.settings import Settings
    from serving.state import State

_SWEEP_S = 0.25


class Server(Base):
    """uvicorn's server, which on SIGTERM says that it is not ready, then drains, then ends with 0."""

    def __init__(self, config: Config, state: State) -> None:
        super().__init__(config)
        self.state = state
        self.exit_code = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals on the event loop; uvicorn would end with the signal itself, not with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self.look)
        yield
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 # uvicorn's signature
        """Drain; a second signal does not wait any longer."""
        if self.state.draining:
            self.should_exit = True
            return
        self.state.draining = True
        log.info("draining", signal=signal.Signals(sig).name, seconds=self.state.settings.drain_s)
        asyncio.get_running_loop().call_later(self.state.settings.drain_s, self.leave)

    def leave(self, exit_code: int = 0) -> None:
        """Take no more connections and end when those that are open are done."""
        self.exit_code = self.exit_code or exit_code
        self.should_exit = True

    def look(self) -> None:
        """Look for another bundle, as SIGHUP asks."""
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
    server = Server(_config(settings, App(state)), state)
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


def _config(settings: Settings, app: App) -> Config:
    return Config(
        app,
        http=limited(settings, None if settings.access_log == "all" else QuickWay(app)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
        proxy_headers=False,  # who may ask for a swap is decided by the connection, not by a header
    )
