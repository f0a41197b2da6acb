"""
One run of the graph for all the one-row requests that are waiting.

Nothing waits for company: a run is scheduled with the first row, for the very next turn of the event loop. Requests
whose bytes had arrived by then are decoded in the same turn and so share the run; a lone request is alone in it. While
runs are being shared, one more turn is taken first: clients answered together come back together, but not all within
one turn, and a turn costs a few microseconds where a run of its own costs tens (measured: 13 rows a run instead of 7,
a quarter less processor time a request).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from serving.encoded import Encoded, Row, stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    import numpy as np

    from serving.signature import Graph

_INLINE_S = 0.002  # a run that takes longer would hold up the event loop and goes to a thread


class MicroBatcher:
    """Collects rows for one model; one future per run, shared by the rows in it."""

    def __init__(
        self,
        score: Callable[[Encoded], np.ndarray],
        graph: Graph,
        *,
        limit: int,
        row_s: float,
        executor: Executor,
        on_run: Callable[[Encoded, np.ndarray], None],
    ) -> None:
        self._score, self._graph, self._limit, self._executor, self._on_run = score, graph, limit, executor, on_run
        self._inline = row_s < _INLINE_S
        self._waiting: list[Row] = []
        self._shared = self._lingered = False
        self._future: asyncio.Future[list[Any]] | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, row: Row) -> Any:
        """Score one row; returns a number, or a list of them for a multiclass model."""
        future, index = self.place(row)
        return (await future)[index]

    def place(self, row: Row) -> tuple[asyncio.Future[list[Any]], int]:
        """Put a row into the next run; return the future of all its answers, and which of them is this row's."""
        future = self._future
        if future is None:
            future = self._future = self._loop.create_future()
            self._loop.call_soon(self._flush, future)
        index = len(self._waiting)
        self._waiting.append(row)
        if index + 1 == self._limit:
            self._lingered = True
            self._flush(future)
        return future, index

    def _flush(self, future: asyncio.Future[list[Any]]) -> None:
        if future is not self._future:
            return  # it was full and went early
        if self._shared and not self._lingered:
            self._lingered = True
            self._loop.call_soon(self._flush, future)
            return
        self._lingered, self._shared = False, len(self._waiting) > 1
        rows, self._waiting, self._future = self._waiting, [], None
        if self._inline:
            self._run(rows, future)
        else:
            task = self._loop.create_task(self._run_aside(rows, future))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _run(self, rows: list[Row], future: asyncio.Future[list[Any]]) -> None:
        try:
            encoded = stack(rows, self._graph)
            self._tell(future, encoded, self._score(encoded))
        except Exception as error:  # noqa: BLE001 # whoever waits must hear of it, whatever it is
            _fail(future, error)

    async def _run_aside(self, rows: list[Row], future: asyncio.Future[list[Any]]) -> None:
        try:
            encoded = stack(rows, self._graph)
            self._tell(future, encoded, await self._loop.run_in_executor(self._executor, self._score, encoded))
        except Exception as error:  # noqa: BLE001 # whoever waits must hear of it, whatever it is
            _fail(future, error)

    def _tell(self, future: asyncio.Future[list[Any]], encoded: Encoded, answer: np.ndarray) -> None:
        if not future.done():  # a forced shutdown may have cancelled it
            future.set_result(answer.tolist())
        self._on_run(encoded, answer)


def _fail(future: asyncio.Future[list[Any]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
