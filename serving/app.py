"""The ASGI application: finds the handler, sends its answer, counts it, and lets no exception out."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from serving import log
from serving.problems import Problem
from serving.routes import Routes
from serving.wire import PROBLEM, Call, Disconnected, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from serving.repository import Live
    from serving.state import State

    Send = Callable[[Any], Awaitable[None]]

_CLOSE = (b"connection", b"close")


class App:
    """One coroutine per request."""

    def __init__(self, state: State) -> None:
        self.state, self.routes = state, Routes(state)
        self._throttle = log.Throttle()
        self._log_all = state.settings.access_log == "all"
        self._log_errors = state.settings.access_log != "none"

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """Answer one request."""
        start = perf_counter()
        call = Call(scope, receive)
        route, handlers = self.routes.find(call.path)
        try:
            handler = handlers.get(call.method)
            reply = await (handler(call) if handler else self._nowhere(handlers))
        except Problem as problem:
            reply = Reply(problem.status, PROBLEM, problem.body(call.request_id.decode()), problem.headers)
            self._tell(call, route, problem.status, start, problem.detail)
        except Disconnected:
            live = self.state.repository.live
            (live.telemetry if live else self.state.nobody).done(route, "disconnected", perf_counter() - start)
            return
        except Exception as error:  # noqa: BLE001 # the last line of defence; nothing of it reaches the client
            reply = self.broken(error, call.request_id, call.path)
        live = call.live or self.state.repository.live
        status = reply.status
        if not self._at_once(call, reply, live):
            await send(self._head(call, reply, live))
            await send({"type": "http.response.body", "body": reply.body})
        if call.shadow:
            self.state.shadow.note(call, reply, live)
        requests = live.telemetry if live else self.state.nobody
        requests.done(route, _OUTCOMES.get(status) or _outcome(status), perf_counter() - start)
        if call.synthetic:
            requests.synthetic[route] += 1
        if self._log_all and status < 400:
            self._tell(call, route, status, start, "")

    def _at_once(self, call: Call, reply: Reply, live: Live | None) -> bool:
        """
        Hand an answer to the connection in one piece, where it can take one: half the cost of two messages.

        Refusals too: under overload most answers are refusals, and what they cost is taken from those let in.
        """
        write = call.scope.get("slipway.answer")
        if write is None or self.state.draining or live is None or _CLOSE in reply.headers:
            return False
        head = b"content-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n%s"
        head %= (reply.content_type, len(reply.body), call.request_id, live.header_line)
        own = b"".join([b"%s: %s\r\n" % field for field in reply.headers]) if reply.headers else b""
        sent: bool = write(call.scope, reply.status, head + own + b"\r\n" + reply.body)
        return sent

    def _head(self, call: Call, reply: Reply, live: Live | None) -> dict[str, Any]:
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.body)),
            (b"x-request-id", call.request_id),
            *reply.headers,
        ]
        if live:
            headers.append((b"x-slipway-release", live.header))
        if self.state.draining and _CLOSE not in headers:
            headers.append(_CLOSE)  # clients open their next connection elsewhere
        return {"type": "http.response.start", "status": reply.status, "headers": headers}

    async def _nowhere(self, handlers: dict[str, Any]) -> Reply:
        if not handlers:
            raise Problem(404, "no-route", "there is nothing here; /docs shows what there is")
        allowed = ", ".join(sorted(handlers))
        raise Problem(405, "method", f"this route takes {allowed}", headers=[(b"allow", allowed.encode())])

    def broken(self, error: BaseException, request_id: bytes, path: str) -> Reply:
        """Log what should not have happened, and tell the client where."""
        found = request_id.decode()
        log.error("request failed", cause=error, request_id=found, path=path[:200])
        problem = Problem(500, "internal", f"internal error; the server's log has it under {found}")
        return Reply(500, PROBLEM, problem.body(found))

    def _tell(self, call: Call, route: str, status: int, start: float, detail: str) -> None:
        if not (self._log_errors and (self._log_all or self._throttle.allow())):
            return
        spent = round((perf_counter() - start) * 1000, 3)
        request_id, release = call.request_id.decode(), self.state.repository.live
        named = str(release.model.release) if release else None
        write = log.warning if status >= 500 else log.info
        write("request", request_id=request_id, method=call.method, path=call.path[:200], route=route, status=status,
              ms=spent, detail=detail[:300], release=named)  # fmt: skip


_OUTCOMES = {200: "ok", 503: "unavailable"}


def _outcome(status: int) -> str:
    return "ok" if status < 400 else "refused" if status < 500 else "error"
