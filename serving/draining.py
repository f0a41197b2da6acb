"""uvicorn's server as a service here lives and ends: it says that it is not ready, drains, and ends with 0."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, Protocol

from uvicorn.config import Config
from uvicorn.server import Server

from serving import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Leaving(Protocol):
    """What is known of a service that may be on its way out."""

    draining: bool

    @property
    def settings(self) -> Any:
        """Its options; `drain_s` among them."""


class Draining(Server):
    """On SIGTERM it goes on for `drain_s`, so that callers find their way elsewhere; on SIGHUP it calls `hang_up`."""

    def __init__(self, config: Config, life: Leaving) -> None:
        super().__init__(config)
        self.life = life
        self.exit_code = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals on the event loop; uvicorn would end with the signal itself, not with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self.hang_up)
        yield
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 # uvicorn's signature
        """Drain; a second signal does not wait any longer."""
        if self.life.draining:
            self.should_exit = True
            return
        self.life.draining = True
        log.info("draining", signal=signal.Signals(sig).name, seconds=self.life.settings.drain_s)
        asyncio.get_running_loop().call_later(self.life.settings.drain_s, self.leave)

    def leave(self, exit_code: int = 0) -> None:
        """Take no more connections and end when those that are open are done."""
        self.exit_code = self.exit_code or exit_code
        self.should_exit = True

    def hang_up(self) -> None:
        """Do what SIGHUP asks for."""


def configured(app: Any, connection: type[asyncio.Protocol], settings: Any) -> Config:
    """Configure the HTTP stack: nothing of its own on stderr, no headers that are believed, no lifespan."""
    return Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
        proxy_headers=False,  # who may ask for a swap is decided by the connection, not by a header
    )
