"""
The one thread that writes: all that waits becomes one transaction, so that many senders share one flush of the disk.

Whoever asked is told after the commit. What fails by itself fails alone; what the database refuses fails for all of the
transaction, and every sender tries again.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from collector.errors import StoreError, Unreachable
from serving import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.store.interface import Session, Store

_GROUP = 20_000  # records in one transaction


class Busy(Exception):  # noqa: N818 # an answer, not a failure
    """Too much is waiting."""


@dataclass
class _Job:
    work: Callable[[Session], Any]
    weight: int
    done: Future[Any] = field(default_factory=Future)
    result: Any = None


class Writer:
    """Takes work from any thread; `commits` and `seconds` are for the metrics."""

    def __init__(self, store: Store, most_waiting: int) -> None:
        self._store, self._most = store, most_waiting
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._ended = False
        self.commits, self.seconds = 0, 0.0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Records that wait for their commit."""
        return self._waiting

    def ask(self, work: Callable[[Session], Any], weight: int) -> Future[Any]:
        """
        Ask for something to be written; the answer comes once it is on the disk.

        Raises:
            Busy: too much is waiting already.
        """
        job = _Job(work, weight)
        job.done.set_running_or_notify_cancel()  # from here on nobody can take it back
        with self._changed:
            if self._ended:
                raise Busy
            if self._waiting and self._waiting + weight > self._most:
                raise Busy
            self._waiting += weight
            self._jobs.append(job)
            self._changed.notify()
        return job.done

    def close(self, within_s: float) -> None:
        """Write what is waiting, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(within_s)

    def _run(self) -> None:
        while group := self._next():
            start = perf_counter()
            self._write(group)
            self.commits += 1
            self.seconds += perf_counter() - start
            with self._changed:
                self._waiting -= sum(job.weight for job in group)

    def _next(self) -> list[_Job]:
        with self._changed:
            while not self._jobs and not self._ended:
                self._changed.wait()
            group: list[_Job] = []
            weight = 0
            while self._jobs and (not group or weight + self._jobs[0].weight <= _GROUP):
                group.append(self._jobs.popleft())
                weight += group[-1].weight
        return group

    def _write(self, group: list[_Job]) -> None:
        try:
            self._store.write(lambda session: _all(session, group))
        except StoreError as error:
            log.warning("nothing written", reason=str(error), deliveries=len(group))
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 # one delivery must not take the others with it
            if len(group) == 1:
                log.error("delivery failed", cause=error)
                _fail(group, error)
                return
            for job in group:
                self._write([job])
        else:
            for job in group:
                job.done.set_result(job.result)


def _all(session: Session, group: list[_Job]) -> None:
    for job in group:
        job.result = job.work(session)


def _fail(group: list[_Job], error: Exception) -> None:
    for job in group:
        job.done.set_exception(error if isinstance(error, StoreError) else Unreachable("internal error"))
