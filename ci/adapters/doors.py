"""The front door of a live service as its callers use it: one row, one request, one id; patient while it is busy."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ci.adapters.collector import address, seconds
from ci.collecting.sent import ANSWERED
from ci.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BUSY = {429, 502, 503, 504}
_LIMIT = 1 << 20  # bytes of an answer
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0


@dataclass
class FrontDoor:
    """Satisfies `ci.collecting.interface.Door`; `connections` requests are under way at once."""

    url: str
    connections: int = 8
    timeout_s: float = 10
    patience_s: float = 60
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _own: threading.local = field(default_factory=threading.local, init=False, repr=False)

    def __post_init__(self) -> None:
        """
        Hold on to a good address.

        Raises:
            BadInput: it is none.
        """
        self.url = address(self.url)

    def ask(self, asked: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, int]:
        """
        Ask for predictions; a request that is refused is counted, one that finds nobody is sent again.

        Raises:
            Unavailable: nobody answered for as long as patience lasts.
        """
        with ThreadPoolExecutor(self.connections) as pool:
            return dict(Counter(pool.map(lambda item: self._answered(*item), asked)))

    def _answered(self, request_id: str, row: dict[str, Any]) -> str:
        until, pause_s = self.clock() + self.patience_s, _PAUSE_S
        body = json.dumps(row, ensure_ascii=False).encode()
        while True:
            try:
                status, after = self._once(request_id, body)
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                status, after, why = 0, None, str(error) or type(error).__name__
            else:
                why = f"{status}, busy"
            if status == 200:
                return ANSWERED
            if status and status not in _BUSY:
                return f"refused with {status}"
            wait_s = after or pause_s * random.uniform(0.5, 1)  # noqa: S311 # so that callers do not march
            if self.clock() + wait_s > until:
                raise Unavailable(f"{self.url}: does not answer ({why})")
            self.sleep(wait_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _once(self, request_id: str, body: bytes) -> tuple[int, float | None]:
        connection = self._connection()
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
        connection.request("POST", f"{urlsplit(self.url).path}/predict", body, headers)
        answer = connection.getresponse()
        answer.read(_LIMIT)
        if not answer.isclosed():  # longer than any answer is: the rest would be taken for the next one
            self._hang_up()
        return answer.status, seconds(answer.getheader("Retry-After"))

    def _connection(self) -> http.client.HTTPConnection:
        """Keep a connection per thread."""
        if getattr(self._own, "connection", None) is None:
            place = urlsplit(self.url)
            kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
            self._own.connection = kind(str(place.hostname), place.port, timeout=self.timeout_s)
        connection: http.client.HTTPConnection = self._own.connection
        return connection

    def _hang_up(self) -> None:
        if getattr(self._own, "connection", None) is not None:
            self._own.connection.close()
            self._own.connection = None
