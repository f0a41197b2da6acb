"""`POST /predict` and `POST …/infer`: from a body to an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from serving import tensors
from serving.encoded import Encoded, Row
from serving.problems import ELSEWHERE, Faults, Invalid, Problem
from serving.wire import JSON, LARGE, OCTETS, Reply, check_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from serving.events import Events
    from serving.repository import Live, Repository
    from serving.settings import Settings
    from serving.wire import Bodies, Call

_MANY_S = 0.002  # and likewise a batch that takes longer than this to score
_ROW_S = 5e-6  # what one more row in a batch costs, about
_NEXT = [(b"retry-after", b"1")]


class Scoring:
    """Takes requests for predictions, as many at a time as it may."""

    def __init__(
        self, settings: Settings, repository: Repository, bodies: Bodies, executor: Executor, events: Events | None
    ) -> None:
        self.settings, self.repository, self.bodies, self.events = settings, repository, bodies, events
        self._executor = executor
        self.active = self._heavy = 0

    async def predict(self, call: Call) -> Reply:
        """Answer plain JSON."""
        check_type(call, JSON)
        body = await self.bodies.read(call)
        live = self._admit(call)
        self.active += 1
        try:
            row = None if call.encoding or len(body) > LARGE else live.model.intake.row(body)
            if row is None:
                answers = await self._predict_any(call, live, body)
            else:
                answers = msgspec.json.encode([await self._single(call, live, row)])
        except Invalid as invalid:
            self._count(live, invalid)
            raise
        finally:
            self.active -= 1
        body = live.answer_head + answers + b',"request_id":"' + call.request_id + b'"}'
        return Reply(200, JSON, body)

    async def _predict_any(self, call: Call, live: Live, body: bytes) -> bytes:
        rows = await self._aside(call, body, live.model.intake.read)
        if isinstance(rows, Row):
            return msgspec.json.encode([await self._single(call, live, rows)])
        return msgspec.json.encode((await self._batch(call, live, rows)).tolist())

    async def infer(self, call: Call) -> Reply:
        """Answer the protocol's tensors."""
        check_type(call, JSON, OCTETS)
        raw = await self.bodies.read(call)
        live = self._admit(call)
        self.active += 1
        try:
            quick = self._one_row(call, live, raw)
            request, rows = quick or await self._aside(call, raw, lambda body: self._tensors(call, live, body))
            binary = tensors.wants_binary(request, live.model.signature.output)
            if isinstance(rows, Row):
                answer: Any = [await self._single(call, live, rows)]
            else:
                answer = await self._batch(call, live, rows)
        except Invalid as invalid:
            self._count(live, invalid)
            raise
        finally:
            self.active -= 1
        return tensor_reply(live, request.id or call.request_id.decode(), answer, binary=binary)

    @staticmethod
    def _one_row(call: Call, live: Live, body: bytes) -> tuple[tensors.Request, Row] | None:
        """Read the commonest request, one row as JSON; None when it is anything else."""
        if call.encoding or call.header_length != -1 or len(body) > LARGE:
            return None
        return live.model.tensors.row(body)

    def _tensors(self, call: Call, live: Live, body: bytes) -> tuple[tensors.Request, Row | Encoded]:
        model = live.model
        request, tail = tensors.parse(body, call.header_length)
        values, n_rows = tensors.columns(request, tail, model.signature, self.settings.max_rows)
        row = model.intake.reader.plain_row(tensors.first(values)) if n_rows == 1 else None
        return request, row or model.encoder.encode(values, n_rows, Faults())

    def _admit(self, call: Call) -> Live:
        """Let a request in, or say why not before it has cost anything."""
        live = self.repository.live
        if live is None:
            raise Problem(503, "not-ready", "no model has been loaded yet", headers=ELSEWHERE)
        if self.active >= self.settings.max_concurrency:
            raise Problem(503, "overload", f"{self.active} predictions are under way", headers=_NEXT)
        call.live = live
        return live

    async def _single(self, call: Call, live: Live, row: Row) -> Any:
        answer = await live.batcher.submit(row)
        if self.events and not call.synthetic:
            self.events.offer(call.request_id.decode(), live.model, row, [answer])
        return answer

    async def _batch(self, call: Call, live: Live, rows: Encoded) -> np.ndarray:
        if live.model.row_s + rows.n_rows * _ROW_S < _MANY_S:
            answer = live.model.score(rows)
        else:
            answer = await self._in_thread(live.model.score, rows)
        live.telemetry.batch(rows, answer)
        if self.events and not call.synthetic:
            self.events.offer(call.request_id.decode(), live.model, rows, answer)
        return answer

    async def _aside(self, call: Call, body: bytes, read: Callable[[bytes], Any]) -> Any:
        """Read a body: here when it is small, in a thread when it is large or must be decompressed."""
        if call.encoding or len(body) > LARGE:
            return await self._in_thread(lambda: read(self.bodies.plain(call, body)))
        return read(body)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if self._heavy >= self.settings.max_heavy:
            raise Problem(503, "overload", f"{self._heavy} large batches are under way", headers=_NEXT)
        self._heavy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        finally:
            self._heavy -= 1

    @staticmethod
    def _count(live: Live, invalid: Invalid) -> None:
        """Count refused values by feature; names that only the caller knows do not become labels."""
        columns = live.model.encoder.columns
        for (name, code), number in invalid.counts.items():
            live.telemetry.rejected[name if name in columns else None, code] += number


def tensor_reply(live: Live, request_id: str, answer: Any, *, binary: bool) -> Reply:
    """Spell an answer, an array or a list of one row; what does not change from answer to answer was spelled before."""
    values = np.asarray(answer, dtype="<f4") if binary or len(answer) > 1 else answer
    width = live.model.signature.output.classes if live.model.signature.task == "multiclass" else None
    shape = msgspec.json.encode([len(answer), len(width)] if width else [len(answer)])
    raw = np.ascontiguousarray(values).tobytes() if binary else b""
    if binary:
        data = b'"parameters":{"binary_data_size":%d}' % len(raw)
    else:
        flat = values.ravel().tolist() if isinstance(values, np.ndarray) else values[0] if width else values
        data = b'"data":' + msgspec.json.encode(flat)
    head = b'%s%s,%s}],"id":%s}' % (live.tensor_head, shape, data, msgspec.json.encode(request_id))
    headers = [(b"inference-header-content-length", b"%d" % len(head))] if binary else []
    return Reply(200, OCTETS if binary else JSON, head + raw, headers)
