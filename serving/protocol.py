"""
The HTTP stack's connection, with the limits that it does not have itself.

Without them a client could hold a connection by sending a byte at a time, or fill memory with header fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.problems import Problem
from serving.wire import PROBLEM

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from serving.settings import Settings

_HEAD_BYTES = 64 * 1024


def limited(settings: Settings) -> type[Connection]:
    """Return the connection class for these limits."""
    names = ("max_connections", "header_timeout_s", "body_timeout_s")
    return type("LimitedConnection", (Connection,), {name: getattr(settings, name) for name in names})


class Connection(HttpToolsProtocol):
    """One client."""

    max_connections = 1024
    header_timeout_s = body_timeout_s = 10.0
    _head_bytes = 0
    _head_since: float | None = None
    _body_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        if len(self.connections) > self.max_connections:
            self._refuse(503, "overload", "too many connections", [(b"retry-after", b"1")])

    def data_received(self, data: bytes) -> None:
        """Take bytes, but only so many of a head."""
        if self._head_since is not None:
            self._head_bytes += len(data)
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._head_since is not None and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "head", f"the request's head has more than {_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Start the clock for a head."""
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Stop it, and start the clock for a body."""
        self._head_since, self._head_bytes, self._body_since = None, 0, self.loop.time()
        super().on_headers_complete()

    def sweep(self, now: float) -> None:
        """End the wait for a head or a body that is overdue; costs a request that is on time next to nothing."""
        if self._head_since is not None:
            if now - self._head_since > self.header_timeout_s:
                self._give_up("head", self.header_timeout_s, told=not self._head_bytes)
        elif self.cycle.more_body and now - self._body_since > self.body_timeout_s:
            self._give_up("body", self.body_timeout_s, told=self.cycle.response_started)

    def _give_up(self, part: str, seconds: float, *, told: bool) -> None:
        """Close, and say why unless an answer has gone out or nothing was asked; whoever reads sees a client leave."""
        if told:
            self.transport.close()
        else:
            self._refuse(408, "slow", f"the request's {part} did not arrive within {seconds:g} s")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, "malformed", msg)

    def _refuse(self, status: int, kind: str, detail: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        body = Problem(status, kind, detail).body("")
        fields: list[Any] = [
            *headers, (b"content-type", PROBLEM), (b"content-length", b"%d" % len(body)), (b"connection", b"close")
        ]  # fmt: skip
        lines = [STATUS_LINE[status], *(b"%s: %s\r\n" % field for field in fields), b"\r\n", body]
        self.transport.write(b"".join(lines))
        self.transport.close()
