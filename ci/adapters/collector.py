"""
The door to a collection service: bounded in bytes and seconds, patient where that helps, told in words.

Whatever is sent may be sent again: the service knows rows by their keys. A redirect is not followed, so that the token
goes nowhere else.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests

from ci.data.held import Answer, Held, Kind, Quarantined, Receipt, State
from ci.errors import BadInput, StepError, Unavailable
from ci.files import replacing
from ci.params import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_AGAIN = {408, 425, 429, 502, 503, 504}
_PAUSE_S, _LONGEST_PAUSE_S, _CONNECT_S = 0.2, 30.0, 10.0
_ANSWER_LIMIT, _ERROR_LIMIT = 32 << 20, 64 << 10  # bytes
_CHUNK = 1 << 20
MISMATCH_HINT = "deploy the service with this checkout's contract, or go back to the contract that it has"

A = TypeVar("A", bound=Answer)


@dataclass
class Client:
    """
    One project in a collection service; satisfies `ci.collecting.interface.Service`.

    `timeout_s` is the longest wait for a byte, `whole_s` for a body, `patience_s` for a service that is away or busy.
    """

    url: str
    project: str
    token: str = field(default="", repr=False)
    token_from: str = "the token"  # noqa: S105 # where it comes from, for hints
    contract: str | None = None
    timeout_s: float = 300  # a service that has much to bring together first is silent for long
    whole_s: float = 600
    patience_s: float = 5
    say: Callable[[str], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _session: requests.Session = field(default_factory=requests.Session, init=False, repr=False)

    def __post_init__(self) -> None:
        """
        Hold on to nothing but a good address.

        Raises:
            BadInput: the address is none.
        """
        self.url = address(self.url)
        self._session.auth = self._authorize  # rather than a header: requests would let a .netrc take its place

    def state(self) -> State:
        """Say how far the project has come."""
        return self._answer(State, self._json("GET", ""), "its state")

    def periods(self) -> list[Held]:
        """List what is held, by period, oldest first."""
        listed = self._json("GET", "/periods")
        items = listed.get("periods") if isinstance(listed, dict) else None
        if not isinstance(items, list):
            raise self._strange("no list of periods")
        return sorted((self._answer(Held, item, "a period") for item in items), key=lambda held: held.start)

    def send(self, kind: Kind, rows: Sequence[dict[str, Any]]) -> Receipt:
        """Send a batch until it is acknowledged."""
        lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        body = gzip.compress(lines.encode(), compresslevel=1, mtime=0)
        return self._answer(Receipt, self._json("POST", f"/{kind}", body, headers), "a receipt")

    def quarantine(self, limit: int) -> list[Quarantined]:
        """Return the oldest records that wait for a person."""
        raw = self._read(self._ask("GET", f"/quarantine?limit={limit}"), _ANSWER_LIMIT)
        return [self._answer(Quarantined, self._parsed(line), "a record") for line in raw.splitlines() if line.strip()]

    def remove(self, held: Held) -> None:
        """
        Let the service remove the rows of a period, which are published under this digest.

        Raises:
            BadInput: it holds other rows of it by now, or the token may not do this.
        """
        self._json("DELETE", f"/periods/{held.period}", headers={"If-Match": f'"{held.digest}"'})

    def save(self, held: Held, target: Path, limit: int) -> bool:
        """
        Write a period's rows as Parquet; False if the service holds other rows of it by now, or none.

        Raises:
            BadInput: larger than `limit` bytes. Unavailable: it does not arrive whole.
        """
        answer = self._ask("GET", f"/periods/{held.period}/records.parquet")
        if answer.headers.get("ETag", "").strip().removeprefix("W/").strip('"') != held.digest:
            answer.close()
            return False
        with replacing(target) as beside, beside.open("wb") as sink:
            for piece in self._pieces(answer, limit):
                sink.write(piece)
        return True

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def _json(self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        return self._parsed(self._read(self._ask(method, path, data, headers), _ANSWER_LIMIT))

    def _parsed(self, raw: bytes) -> Any:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise self._strange("no JSON") from error

    def _answer(self, model: type[A], document: Any, what: str) -> A:
        try:
            return parse(model, document, what)
        except BadInput as error:
            raise self._strange(str(error)) from error

    def _strange(self, what: str) -> BadInput:
        return BadInput(f"{self.url}: answers like no collection service ({what})", hint="is the address right?")

    def _ask(
        self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Ask until there is an answer worth having, for as long as patience lasts."""
        until, pause_s = self.clock() + self.patience_s, _PAUSE_S
        while True:
            try:
                return self._once(method, path, data, headers)
            except Unavailable as error:
                wait_s = _wished(error) or pause_s * random.uniform(0.5, 1)  # noqa: S311 # so that senders do not march
                if self.clock() + wait_s > until:
                    raise
                if wait_s >= 1:
                    self.say(f"  {error}; again in {wait_s:.0f} s")
            self.sleep(wait_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _once(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str] | None) -> requests.Response:
        known = {"Slipway-Contract": self.contract} if self.contract else {}
        try:
            answer = self._session.request(
                method, f"{self.url}/v1/{self.project}{path}", data=data, headers={**known, **(headers or {})},
                stream=True, timeout=(min(self.timeout_s, _CONNECT_S), self.timeout_s), allow_redirects=False,
            )  # fmt: skip
        except requests.exceptions.SSLError as error:
            raise BadInput(f"{self.url}: its certificate cannot be trusted ({_line(error)})") from error
        except requests.RequestException as error:
            raise Unavailable(f"{self.url}: the collection service does not answer ({_why(error)})") from error
        if answer.status_code == 200:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: requests.Response) -> StepError:
        """Turn an answer that is no success into an error: who, what it says, and what helps."""
        status = answer.status_code
        message = f"{self.url}: {self.project}: {status} {self._said(answer)}".rstrip()
        if status in {401, 403}:
            return BadInput(message, hint=f"{self.token_from} must hold a token that the service allows to do this")
        if status == 404:
            return BadInput(message, hint="does the service have this project's contract?")
        if status == 409:
            ours = "" if str(self.contract) in message else f" (this checkout has {self.contract})"
            return BadInput(f"{message}{ours}", hint=MISMATCH_HINT)
        if status == 413:
            return BadInput(message, hint="send smaller batches")
        if status in _AGAIN or status >= 500:
            return _Later(message, seconds(answer.headers.get("Retry-After")) if status in _AGAIN else None)
        return BadInput(message)

    def _said(self, answer: requests.Response) -> str:
        """Read a problem (RFC 9457) as far as it is one."""
        try:
            found = json.loads(self._read(answer, _ERROR_LIMIT))
            return str(found.get("detail") or found.get("title") or "")[:500] if isinstance(found, dict) else ""
        except (StepError, ValueError, RecursionError):
            return str(answer.reason or "")[:100]

    def _read(self, answer: requests.Response, limit: int) -> bytes:
        return b"".join(self._pieces(answer, limit))

    def _pieces(self, answer: requests.Response, limit: int) -> Iterator[bytes]:
        """Yield a body piece by piece; it may be `limit` bytes long and take `whole_s`."""
        until, left = self.clock() + self.whole_s, limit
        try:
            with answer:
                for piece in answer.iter_content(_CHUNK):
                    left -= len(piece)
                    if left < 0:
                        raise BadInput(f"{self.url}: answers with more than {limit:,} bytes")
                    if self.clock() > until:
                        raise Unavailable(f"{self.url}: an answer did not arrive within {self.whole_s:g} s")
                    yield piece
        except requests.RequestException as error:
            raise Unavailable(f"{self.url}: an answer broke off ({_why(error)})") from error


class _Later(Unavailable):
    """The service asks to come back, perhaps after so many seconds."""

    def __init__(self, message: str, after_s: float | None) -> None:
        super().__init__(message)
        self.after_s = after_s


def _wished(error: Unavailable) -> float | None:
    return error.after_s if isinstance(error, _Later) else None


def seconds(header: str | None) -> float | None:
    """Read a `Retry-After` in seconds; ten minutes at most, None if it is none."""
    return min(float(header), 600.0) if header and re.fullmatch(r"\d{1,6}", header.strip()) else None


def address(url: str) -> str:
    """
    Return the address of a service without a slash at its end.

    Raises:
        BadInput: it is none, or holds credentials or a query.
    """
    try:
        place = urlsplit(url.strip())
        fine = place.scheme in {"http", "https"} and place.hostname and (place.port or place.netloc[-1] != ":")
    except ValueError:
        fine = False
    if not fine or place.username or place.password or place.query or place.fragment:
        shown = re.sub(r"://[^/@\s]+@", "://…@", url)[:120]
        raise BadInput(f"{shown!r} is no address of a service", hint="such as http://127.0.0.1:8090, without more")
    return url.strip().rstrip("/")


def from_environment(name: str, what: str) -> str:
    """
    Return what an environment variable holds.

    Raises:
        BadInput: it is not set.
    """
    found = os.environ.get(name, "").strip()
    if not found:
        raise BadInput(f"{name}: this environment variable must hold {what}")
    return found


def _why(error: requests.RequestException) -> str:
    """Say in a word what requests says in three lines."""
    said = str(error)
    if isinstance(error, requests.Timeout) or "timed out" in said:
        return "no answer in time"
    for word in ("Connection refused", "Name or service not known", "No route to host", "Connection reset by peer"):
        if word in said:
            return word.lower()
    return _line(error)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
