"""
The last answers to requests of which the router sends copies, for whoever lays two releases side by side.

Only the router marks such requests, and only while a shadow runs. An answer is kept after it was sent, as it was sent:
nobody waits for that, nothing goes to a disk, and the oldest leave when there are too many.
"""

from __future__ import annotations

import re
import time
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from serving.problems import Problem
from serving.wire import JSON, PROBLEM, Reply

if TYPE_CHECKING:
    from serving.repository import Live
    from serving.wire import Call

NDJSON = b"application/x-ndjson"
_MOST, _MOST_BYTES = 10_000, 8 * 2**20
_LONG = 8 * 1024  # bytes of an answer; of a longer one only its status is kept
_PAGE = 500  # answers that are told at once: more would hold up the event loop
_QUERY = re.compile(rb"mark=([0-9a-f]{8})&after=(\d{1,15})")


class _Kept(NamedTuple):
    number: int
    moment: float
    mark: bytes
    request_id: bytes
    status: int
    release: bytes
    body: bytes


class Answers:
    """A bounded row of answers, the oldest first; each has a number that grows by one."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._kept: deque[_Kept] = deque()
        self._most, self._most_bytes = most, most_bytes
        self._bytes = self._number = 0

    def note(self, call: Call, reply: Reply, live: Live | None) -> None:
        """Keep an answer."""
        plain = reply.content_type in {JSON, PROBLEM} and len(reply.body) <= _LONG
        self._number += 1
        kept = _Kept(
            self._number, time.time(), call.shadow, call.request_id, reply.status, live.header if live else b"",
            reply.body if plain else b"null",
        )  # fmt: skip
        self._kept.append(kept)
        self._bytes += len(kept.body)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= len(self._kept.popleft().body)

    def page(self, query: bytes) -> Reply:
        """
        Tell the answers with one mark that follow a number, as NDJSON; none when there are none (any more).

        Raises:
            Problem: 400, the query is not `mark=…&after=…`.
        """
        found = _QUERY.fullmatch(query)
        if not found:
            raise Problem(400, "malformed", "ask for mark=<8 hexadecimal digits>&after=<number>")
        mark, after = found[1], int(found[2])
        start = max(0, after + 1 - self._kept[0].number) if self._kept else 0
        told = islice((item for item in islice(self._kept, start, None) if item.mark == mark), _PAGE)
        return Reply(200, NDJSON, b"".join([_line(item) for item in told]))


def _line(item: _Kept) -> bytes:
    at = datetime.fromtimestamp(item.moment, UTC).isoformat(timespec="milliseconds")
    head = {
        "number": item.number, "at": at, "request_id": item.request_id.decode(), "status": item.status,
        "release": item.release.decode(),
    }  # fmt: skip
    return msgspec.json.encode(head)[:-1] + b',"answer":' + item.body + b"}\n"
