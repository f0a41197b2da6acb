"""One HTTP exchange: what of its head matters, its body within limits, its answer."""

from __future__ import annotations

import os
import zlib
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from serving.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from serving.repository import Live

JSON = b"application/json"
PROBLEM = b"application/problem+json"
LARGE = 64 * 1024  # bytes of a body that are read in a thread, so that they do not hold up the event loop
OCTETS = b"application/octet-stream"
_WBITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_ID_CHARACTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")
_DISCARDED = 16 * 2**20  # bytes of a refused body that are read all the same, so that the answer arrives


class Disconnected(Exception):  # noqa: N818 # an event, not an error
    """The client went away before its request was complete."""


class Reply(NamedTuple):
    """An answer, except for the headers that every answer has."""

    status: int
    content_type: bytes
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


class Call:
    """What the handlers need to know of a request."""

    __slots__ = (
        "authorization", "content_length", "content_type", "encoding", "expects", "header_length", "live",
        "method", "path", "receive", "request_id", "scope", "shadow", "synthetic",
    )  # fmt: skip

    def __init__(self, scope: Any, receive: Callable[[], Awaitable[Any]]) -> None:
        self.scope, self.receive = scope, receive
        self.live: Live | None = None  # the model that answers, once one was chosen
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.content_type = self.encoding = self.authorization = b""
        self.content_length = self.header_length = -1
        self.expects = self.synthetic = False
        self.request_id = self.shadow = b""
        for name, value in scope["headers"]:
            if name in HEADERS:
                HEADERS[name](self, value)
        if not self.request_id:
            self.request_id = next_id()

    def set_content_type(self, value: bytes) -> None:
        """Keep the media type without its parameters."""
        self.content_type = value if value == JSON else value.partition(b";")[0].strip().lower()

    def set_request_id(self, value: bytes) -> None:
        """Take the caller's request id if it can go into a header and a log as it is."""
        if sound_id(value):
            self.request_id = value

    def set_length(self, value: bytes) -> None:
        """Keep the length that the head declares; the HTTP parser has checked it."""
        self.content_length = int(value)

    def set_header_length(self, value: bytes) -> None:
        """Keep the length of the JSON part of a binary request; -2 when it is no number."""
        self.header_length = int(value) if value.isdigit() and len(value) < 16 else -2

    def set_encoding(self, value: bytes) -> None:
        """Keep the content coding."""
        self.encoding = b"" if value.lower() == b"identity" else value.strip().lower()

    def set_authorization(self, value: bytes) -> None:
        """Keep the credentials."""
        self.authorization = value

    def set_synthetic(self, value: bytes) -> None:
        """Note that nobody waits for the answer: such requests are counted apart and become no events."""
        self.synthetic = value == b"1"

    def set_shadow(self, value: bytes) -> None:
        """Note that the router sends a copy of this request, or that this is the copy; the answer is kept under this mark."""
        self.shadow = value if len(value) == 8 else b""

    def set_expects(self, _: bytes) -> None:
        """Note that the client waits before it sends its body."""
        self.expects = True


HEADERS: dict[bytes, Callable[[Call, bytes], None]] = {
    b"content-type": Call.set_content_type,
    b"content-length": Call.set_length,
    b"content-encoding": Call.set_encoding,
    b"x-request-id": Call.set_request_id,
    b"inference-header-content-length": Call.set_header_length,
    b"authorization": Call.set_authorization,
    b"expect": Call.set_expects,
    b"x-slipway-shadow": Call.set_shadow,
    b"x-slipway-synthetic": Call.set_synthetic,
}
# Unique without asking the system for randomness each time: a prefix of this process, and a number.
_PREFIX = os.urandom(6).hex().encode() + b"-"
_NUMBERS = count(1)


def next_id() -> bytes:
    """Make up a request id."""
    return b"%s%08x" % (_PREFIX, next(_NUMBERS))


def sound_id(value: bytes) -> bool:
    """Say whether a caller's request id can go into a header and a log as it is."""
    return 0 < len(value) <= 128 and _ID_CHARACTERS.issuperset(value)


class Limits(Protocol):
    """How large bodies may be."""

    @property
    def max_body_bytes(self) -> int:
        """Largest body as it comes over the wire."""

    @property
    def max_inflated_bytes(self) -> int:
        """Largest body after decompression."""


class Bodies:
    """Reads bodies within limits of size and memory held; `protocol.py` limits the time."""

    def __init__(self, settings: Limits) -> None:
        self.limit = settings.max_body_bytes
        self.inflated = settings.max_inflated_bytes
        self._budget = 16 * settings.max_body_bytes
        self._held = 0

    async def read(self, call: Call) -> bytes:
        """
        Read the body as it came over the wire.

        Raises:
            Problem: 413, or 503 when too many large bodies are under way.
            Disconnected: when the client went away.
        """
        if call.content_length > self.limit and (call.expects or call.content_length > _DISCARDED):
            raise self._too_large(close=True)
        message = await call.receive()
        if message.get("more_body") or message["type"] != "http.request":
            return await self._rest(call, message)
        body: bytes = message["body"]
        if len(body) > self.limit:
            raise self._too_large()
        return body

    async def _rest(self, call: Call, message: Any) -> bytes:
        chunks: list[bytes] = []
        size = held = 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise Disconnected
                size += len(message["body"])
                if size <= self.limit:
                    held += len(message["body"])
                    self._hold(len(message["body"]))
                    chunks.append(message["body"])
                elif size > _DISCARDED:
                    raise self._too_large(close=True)
                if not message["more_body"]:
                    break
                message = await call.receive()
        finally:
            self._held -= held
        if size > self.limit:
            raise self._too_large()
        return b"".join(chunks)

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._budget:
            raise Problem(
                503, "overload", "too many large bodies under way", headers=[(b"retry-after", b"1")], close=True
            )

    def _too_large(self, *, close: bool = False) -> Problem:
        return Problem(413, "too-large", f"the body has more than {self.limit} bytes", close=close)

    def plain(self, call: Call, body: bytes) -> bytes:
        """
        Undo the content coding, within the limit.

        Raises:
            Problem: 400, 413 or 415.
        """
        return inflate(body, call.encoding, self.inflated) if call.encoding else body


def inflate(body: bytes, encoding: bytes, limit: int) -> bytes:
    """
    Decompress, but never more than `limit` bytes.

    Raises:
        Problem: 400 when it is not what it says, 413 past the limit, 415 for another coding.
    """
    if encoding not in _WBITS:
        raise Problem(
            415, "coding", "content-encoding: only gzip and deflate", headers=[(b"accept-encoding", b"gzip, deflate")]
        )
    engine = zlib.decompressobj(_WBITS[encoding])
    try:
        plain = engine.decompress(body, limit + 1)
    except zlib.error:
        raise Problem(400, "malformed", f"the body is not {encoding.decode()}") from None
    if len(plain) > limit:
        raise Problem(413, "too-large", f"the decompressed body has more than {limit} bytes")
    if not engine.eof or engine.unused_data:
        raise Problem(400, "malformed", f"the body is not one whole {encoding.decode()} stream")
    return plain


def check_type(call: Call, *allowed: bytes) -> None:
    """
    Hold a request to the media types that its route reads; none at all is taken as the first.

    Raises:
        Problem: 415.
    """
    if call.content_type and call.content_type not in allowed:
        names = " or ".join(kind.decode() for kind in allowed)
        raise Problem(415, "media-type", f"content-type: send {names}", headers=[(b"accept", b", ".join(allowed))])
