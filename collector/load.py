"""How many bytes of deliveries are under way: memory is bounded by refusing more, not by hoping for less."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serving.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


class Share:
    """What one delivery holds."""

    def __init__(self, load: Load) -> None:
        self._load, self.size = load, 0

    def take(self, size: int) -> None:
        """
        Hold more.

        Raises:
            Problem: 503, when all deliveries together hold too much.
        """
        self._load.add(size)
        self.size += size


class Load:
    """What all deliveries hold; the first one always fits."""

    def __init__(self, most: int) -> None:
        self._most, self._held, self._lock = most, 0, threading.Lock()

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Begin a delivery; what it held is free again at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            with self._lock:
                self._held -= share.size

    def add(self, size: int) -> None:
        """
        Count more bytes.

        Raises:
            Problem: 503.
        """
        with self._lock:
            if self._held and self._held + size > self._most:
                detail = "too many large bodies are under way"
                raise Problem(503, "busy", detail, headers=[(b"retry-after", b"1")], close=True)
            self._held += size
