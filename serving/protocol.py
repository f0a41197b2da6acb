"""
The HTTP stack's connection, with the limits that it does not have itself.

Without them a client could hold a connection by sending a byte at a time or by never reading its answers, or fill
memory with header fields. It also lets an answer be written in one piece, which is much of what an answer costs, and
still answers a client that has closed its own half of the connection.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.problems import Problem
from serving.wire import LARGE, PROBLEM

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from serving.quick import Asked, QuickWay
    from serving.settings import Settings
    from serving.wire import Reply

_HEAD_BYTES = 64 * 1024
_CLOSE = b"connection: close\r\n"
_OFFER = re.compile(rb"\r\n[Uu]pgrade:")


def limited(settings: Settings, quick: QuickWay | None) -> type[Connection]:
    """Return the connection class for these limits."""
    names = ("max_connections", "header_timeout_s", "body_timeout_s")
    return type(
        "LimitedConnection", (Connection,), {"quick": quick, **{name: getattr(settings, name) for name in names}}
    )


class Connection(HttpToolsProtocol):
    """One client."""

    max_connections = 1024
    header_timeout_s = body_timeout_s = 10.0
    _head_bytes = 0
    _head_since: float | None = None
    _body_since = 0.0
    _unread = 0  # bytes of answers that wait for the client, at the last look
    _unread_since = 0.0
    _running: RequestResponseCycle | Asked | None = None
    quick: QuickWay | None = None
    _route: Any = None  # by which a request may go the quick way, while its body is expected
    _whole = b""  # its body so far
    _common: tuple[object, bytes] = (None, b"")  # headers that all answers have, and how they are spelled

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        if len(self.connections) > self.max_connections:
            self._refuse(503, "overload", "too many connections", [(b"retry-after", b"1")])

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is being answered know, even if others are queued behind it."""
        if self._running and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take bytes, but only so many of a head."""
        if self._head_since is not None:
            self._head_bytes += len(data)
        if self.transport.is_closing():
            return
        super().data_received(_without_offers(data) if b"pgrade:" in data else data)
        if self._route and not self.transport.is_closing():
            self._ordinary()  # the rest of the body is still on its way
        if self.timeout_keep_alive_task is None and self._head_since is None and self.idle:
            # Line ends between two requests begin nothing, but they did stop the clock for idle connections.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        if self._head_since is not None and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "head", f"the request's head has more than {_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Start the clock for a head."""
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Stop it, and start the clock for a body."""
        self._head_since, self._head_bytes, self._body_since = None, 0, self.loop.time()
        self._route = self._quick_route()
        if not self._route:
            self._ordinary()

    def _quick_route(self) -> Any:
        parser = self.parser
        if self.quick is None or self.pipeline or not self.idle or self.flow.write_paused or self.expect_100_continue:
            return None
        if parser.get_method() != b"POST" or parser.should_upgrade() or not parser.should_keep_alive():
            return None
        return self.quick.route(self.url) if parser.get_http_version() == "1.1" else None

    def _ordinary(self) -> None:
        """Go the ordinary way, with what there is of the body."""
        super().on_headers_complete()
        self.scope["slipway.answer"] = self.answer  # type: ignore[typeddict-unknown-key]
        if self._route:
            self._route, body, self._whole = None, self._whole, b""
            super().on_body(body)

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body."""
        if not self._route:
            super().on_body(body)
        elif len(self._whole) + len(body) > LARGE:
            self._ordinary()
            super().on_body(body)
        else:
            self._whole += body

    def on_message_complete(self) -> None:
        """Answer what came whole the quick way, if it can be."""
        if self._route and self.quick:
            asked = self.quick.take(self, self._route, self.headers, self._whole)
            if asked:
                self._route, self._whole = None, b""
                self.cycle = self._running = asked  # type: ignore[assignment] # has what the stack looks at
                return
            self._ordinary()
        super().on_message_complete()

    def finish(self, asked: Asked, reply: Reply, release: bytes, *, last: bool) -> bool:
        """Write an answer; False where nobody waits for it any more."""
        if asked.disconnected or self.transport.is_closing():
            return False
        asked.response_complete = True
        closes = last or not asked.keep_alive
        head = b"content-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n%s%s\r\n"
        head %= (reply.content_type, len(reply.body), asked.id, release, _CLOSE if closes else b"")
        self.transport.write(STATUS_LINE[reply.status] + self._spelled() + head + reply.body)
        if closes:
            self.transport.close()
        self.on_response_complete()
        return True

    def _spelled(self) -> bytes:
        """Spell the headers that the stack gives every answer; the list is a new one each second."""
        headers = self.server_state.default_headers
        if Connection._common[0] is not headers:
            Connection._common = headers, b"".join([b"%s: %s\r\n" % field for field in headers])
        return Connection._common[1]

    @property
    def idle(self) -> bool:
        """Whether every request was answered, or there was none yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def answer(self, scope: Any, status: int, rest: bytes) -> bool:
        """Write an answer, from its own headers to its body, at once; False when it has to go the ordinary way."""
        cycle = self.cycle
        if cycle.scope is not scope:
            return False  # others are queued behind it
        plain = cycle.keep_alive and not cycle.disconnected and not cycle.response_started
        if not plain or cycle.more_body or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(STATUS_LINE[status] + self._spelled() + rest)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked whole before the client closed its half, then close ours."""
        if self.idle or self.cycle.more_body or self._head_since is not None:
            return False
        self.cycle.keep_alive = False
        return True

    def sweep(self, now: float) -> None:
        """End the wait for a head, a body or a reader that is overdue; who is on time does not feel it."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread < self._unread or not self._unread:
            self._unread, self._unread_since = unread, now
        elif now - self._unread_since > self.body_timeout_s:
            self.transport.abort()
            return
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


def _without_offers(data: bytes) -> bytes:
    """
    Pass over an offer to speak another protocol, as Java's client makes it with its first request.

    The parser would take it as accepted, and the request's body for the other protocol's first words.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _OFFER.sub(b"\r\nx-offer:", head) + end + rest
