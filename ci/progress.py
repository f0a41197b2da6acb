"""Telling people that work goes on: a bar on a terminal, plain lines in a log, a heartbeat in silence."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")
_EVERY_S = 10.0
_HEARTBEAT_S = 60.0
_WIDTH = 30


class Progress:
    """Writes to stderr; knows whether anybody watches."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = time.monotonic()

    def line(self, text: str) -> None:
        """Write one whole line."""
        clear = "\r\x1b[K" if self._terminal else ""
        sys.stderr.write(f"{clear}{text}\n")
        sys.stderr.flush()
        self._last = time.monotonic()

    def over(self, items: Sequence[T] | Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items and show how far it is."""
        count = total if total is not None else len(items) if isinstance(items, Sized) else 0
        for done, item in enumerate(items):
            self._show(label, done, count)
            yield item
        if self._terminal and count:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self, label: str, done: int, count: int) -> None:
        if self._terminal and count:
            filled = _WIDTH * done // count
            sys.stderr.write(f"\r{label} [{'#' * filled}{' ' * (_WIDTH - filled)}] {done}/{count}")
            sys.stderr.flush()
        elif time.monotonic() - self._last > _EVERY_S:
            self.line(f"{label}: {done}" + (f" of {count}" if count else ""))

    @contextmanager
    def heartbeat(self, name: str) -> Iterator[None]:
        """Write a line after each minute of silence: schedulers end builds that look dead."""
        done = threading.Event()
        started = time.monotonic()

        def beat() -> None:
            while not done.wait(1):
                if time.monotonic() - self._last > _HEARTBEAT_S:
                    self.line(f"{name}: still at work after {time.monotonic() - started:.0f} s")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
