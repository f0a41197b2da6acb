"""The ASGI application: finds the handler, sends its answer, counts it, and lets no exception out."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from collector.answers import Stream
from collector.errors import StoreError
from collector.routes import Routes
from serving import log
from serving.problems import Problem
from serving.wire import PROBLEM, Call, Disconnected, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.state import State

    Send = Callable[[Any], Awaitable[None]]

_CHUNK = 256 * 1024
_CLOSE = (b"connection", b"close")


class App:
    """One coroutine per request."""

    def __init__(self, state: State) -> None:
        self.state, self.routes = state, Routes(state)
        self._throttle = log.Throttle()

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """Answer one request."""
        start = perf_counter()
        call = Call(scope, receive)
        route, handlers = self.routes.find(call.path)
        reply: Reply | Stream
        detail = ""
        try:
            handler = handlers.get(call.method)
            reply = await (handler(call) if handler else self._nowhere(handlers))
        except Problem as problem:
            reply, detail = self._told(call, problem), problem.detail
        except StoreError as error:
            log.warning("the store did not answer", reason=str(error))
            detail = "the store does not answer"
            reply = self._told(call, Problem(503, "store", detail, headers=[(b"retry-after", b"1")]))
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 # the last line of defence; nothing of it reaches the client
            log.error("request failed", cause=error, request_id=call.request_id.decode(), path=call.path[:200])
            detail = f"internal error; the server's log has it under {call.request_id.decode()}"
            reply = self._told(call, Problem(500, "internal", detail))
        status = 200 if isinstance(reply, Stream) else reply.status
        await self._send(call, reply, send)
        self.state.telemetry.done(route, status, perf_counter() - start)
        self._log(call, route, status, start, detail)

    async def _send(self, call: Call, reply: Reply | Stream, send: Send) -> None:
        if isinstance(reply, Reply):
            await send(self._head(call, reply.status, reply.content_type, len(reply.body), reply.headers))
            await send({"type": "http.response.body", "body": reply.body})
            return
        with reply.file as file:
            file.seek(0)
            await send(self._head(call, 200, reply.content_type, reply.length, reply.headers))
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    def _head(self, call: Call, status: int, kind: bytes, length: int, own: Any) -> dict[str, Any]:
        headers = [
            (b"content-type", kind),
            (b"content-length", b"%d" % length),
            (b"x-request-id", call.request_id),
            (b"x-slipway-release", self.state.release),
            (b"x-content-type-options", b"nosniff"),
            *own,
        ]
        if self.state.draining and _CLOSE not in headers:
            headers.append(_CLOSE)  # clients open their next connection elsewhere
        return {"type": "http.response.start", "status": status, "headers": headers}

    def _told(self, call: Call, problem: Problem) -> Reply:
        return Reply(problem.status, PROBLEM, problem.body(call.request_id.decode()), problem.headers)

    async def _nowhere(self, handlers: dict[str, Any]) -> Reply:
        if not handlers:
            raise Problem(404, "no-route", "there is nothing here")
        allowed = ", ".join(sorted(handlers))
        raise Problem(405, "method", f"this route takes {allowed}", headers=[(b"allow", allowed.encode())])

    def _log(self, call: Call, route: str, status: int, start: float, detail: str) -> None:
        wanted = self.state.settings.access_log
        if wanted == "none" or (wanted == "errors" and status < 400) or not self._throttle.allow():
            return
        write = log.warning if status >= 500 else log.info
        write("request", request_id=call.request_id.decode(), method=call.method, path=call.path[:200], route=route,
              status=status, ms=round((perf_counter() - start) * 1000, 3), detail=detail[:300])  # fmt: skip
