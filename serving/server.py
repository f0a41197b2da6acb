"""The life of the process: start, load, serve, swap, drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvicorn

from serving import log
from serving.app import App
from serving.errors import BadOption
from serving.protocol import limited
from serving.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from serving.events import Events
    from serving.settings import Settings

_SWEEP_S = 0.25
BAD_INPUT = 2  # the exit code for a bundle or an option that cannot be used


class Server(uvicorn.Server):
    """uvicorn's server, which on SIGTERM says that it is not ready, then drains, then ends with 0."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
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


async def serve(settings: Settings) -> int:
    """
    Serve until told to stop; returns the exit code.

    Raises:
        BadOption: when the address cannot be listened on.
    """
    listener = _listen(settings)
    events = _events(settings)
    state = State(settings, events)
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


def _config(settings: Settings, app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=limited(settings),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
        proxy_headers=False,  # who may ask for a swap is decided by the connection, not by a header
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise BadOption(f"--host {settings.host} --port {settings.port}: {error.strerror or error}") from error


def _events(settings: Settings) -> Events | None:
    if not settings.events_rate:
        return None
    from serving.events import Events  # its HTTP client takes a while to import

    found = Events(
        rate=settings.events_rate,
        file=settings.events_file,
        url=settings.events_url,
        token=settings.events_token,
        size=settings.events_queue,
    )
    found.start()
    return found
