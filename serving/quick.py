"""
The quick way through: a request for one row that came whole and asks for nothing special, without a coroutine.

A task, its events and a scope cost as much as all the rest of such an answer. Whatever this way is not sure of it leaves to
the ordinary one (`app.py`), which is the reference: an unknown header that matters, a body that is anything but one sound
row, a server that is full, about to leave or without a model. So no request is ever refused here.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from serving import tensors
from serving.scoring import tensor_reply
from serving.wire import HEADERS, JSON, LARGE, Reply, next_id, sound_id

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from serving.app import App
    from serving.encoded import Row
    from serving.repository import Live

_IGNORED = (b"content-length",)  # the body is here whole


class Line(Protocol):
    """The connection, as far as an answer needs it."""

    def finish(self, asked: Asked, reply: Reply, release: bytes, *, last: bool) -> bool:
        """Write an answer; False where nobody waits for it any more."""


class _Nobody:
    """Stands for the event that a coroutine would wait for."""

    def set(self) -> None:
        """Wake nobody."""


class Asked:
    """A request that waits for its run; the connection keeps it where the HTTP stack keeps its own kind."""

    more_body = response_started = False
    message_event = _Nobody()
    __slots__ = ("disconnected", "id", "index", "keep_alive", "line", "live", "reading", "response_complete", "route", "row",
                 "since", "way")  # fmt: skip

    def __init__(
        self, way: QuickWay, line: Line, live: Live, route: Literal["predict", "infer"], request_id: bytes
    ) -> None:
        self.way, self.line, self.live, self.route, self.id = way, line, live, route, request_id
        self.since, self.keep_alive = perf_counter(), True
        self.disconnected = self.response_complete = False
        self.reading: Any = None  # what an answer of the protocol repeats
        self.row: Row
        self.index = 0

    def done(self, run: asyncio.Future[list[Any]]) -> None:
        """Answer with this row's part of the run."""
        self.way.state.scoring.active -= 1
        if run.cancelled():
            return  # a forced shutdown, which closes the connection, too
        try:
            reply, outcome = self._reply(run.result()[self.index]), "ok"
        except Exception as error:  # noqa: BLE001 # the last line of defence, as in `app.py`
            reply, outcome = self.way.app.broken(error, self.id, self.route), "error"
        told = self.line.finish(self, reply, self.live.header_line, last=self.way.state.draining)
        self.live.telemetry.done(self.route, outcome if told else "disconnected", perf_counter() - self.since)

    def _reply(self, answer: Any) -> Reply:
        events = self.way.state.events
        if events:
            events.offer(self.id.decode(), self.live.model, self.row, [answer])
        if self.route == "infer":
            return tensor_reply(self.live, self.reading.id or self.id.decode(), [answer], binary=False)
        body = b'%s%s,"request_id":"%s"}' % (self.live.answer_head, msgspec.json.encode([answer]), self.id)
        return Reply(200, JSON, body)


class QuickWay:
    """Takes what it can."""

    def __init__(self, app: App) -> None:
        self.app, self.state = app, app.state
        self.limit = min(LARGE, app.state.settings.max_body_bytes)

    def route(self, url: bytes) -> Literal["predict", "infer"] | None:
        """Say which route a POST to this address takes, if it may be this way."""
        if url == b"/predict":
            return "predict"
        live = self.state.repository.live
        return "infer" if live and url == live.infer_url else None

    def take(
        self, line: Line, route: Literal["predict", "infer"], headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> Asked | None:
        """Take a request, to be answered after the next run; None where it has to go the ordinary way."""
        state, request_id = self.state, b""
        live, full = state.repository.live, state.scoring.active >= state.settings.max_concurrency
        if live is None or state.draining or full or len(body) > self.limit:
            return None
        for name, value in headers:
            if name in HEADERS and name not in _IGNORED:
                if name == b"x-request-id":
                    request_id = value if sound_id(value) else b""
                elif name != b"content-type" or value != JSON:
                    return None
        asked = Asked(self, line, live, route, request_id or next_id())
        row: Row | None
        if route == "predict":
            row = live.model.intake.row(body)
        else:
            asked.reading, row = live.model.tensors.row(body) or (None, None)
            if row and tensors.wants_binary(asked.reading, live.model.signature.output):
                return None
        if row is None:
            return None
        asked.row = row
        try:
            run, asked.index = live.batcher.place(row)
        except Exception:  # noqa: BLE001 # the ordinary way meets it again, and tells
            return None
        state.scoring.active += 1
        run.add_done_callback(asked.done)
        return asked
