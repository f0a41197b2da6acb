"""One way to ask an HTTP API: time limits, sizes, tries, credentials from the environment, a clear end."""

from __future__ import annotations

import json
import os
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import requests

from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.params_verification import Http

_LATER = {408, 425, 429}
_FIRST_WAIT_S = 0.2


class Asker:
    """Asks one API."""

    def __init__(self, http: Http, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.http, self.url, self._sleep = http, url.rstrip("/"), sleep
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc between us and who counts
        self.skew_s: float | None = None

    def text(self, path: str, data: Mapping[str, str] | None = None, body: str | None = None) -> str:
        """
        Return the body of an answer with status 200; POST if there is `data` (a form) or `body` (JSON).

        Raises:
            Unavailable: no usable answer after all tries.
            BadInput: refused; asking again is useless.
        """
        for attempt in range(self.http.tries):
            try:
                return self._once(path, data, body)
            except Unavailable:
                if attempt == self.http.tries - 1:
                    raise
                self._sleep(_FIRST_WAIT_S * 2**attempt)
        raise AssertionError

    def json(self, path: str, data: Mapping[str, str] | None = None, body: str | None = None) -> Any:
        """Return the same, read as JSON; what is no JSON comes from somebody else's server."""
        raw = self.text(path, data, body)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self.url}: its answer is not JSON") from error

    def _once(self, path: str, data: Mapping[str, str] | None, body: str | None) -> str:
        headers = {"Accept": "*/*"} | self._credentials() | ({"Content-Type": "application/json"} if body else {})
        end = time.monotonic() + self.http.timeout_s
        asked = time.time()
        try:
            with self._session.request(
                "POST" if data is not None or body else "GET",
                self.url + path,
                data=body.encode() if body else data,
                headers=headers,
                auth=self._basic(),
                timeout=self.http.timeout_s,
                verify=self.http.ca or True,
                allow_redirects=False,
                stream=True,
            ) as answer:
                self._refused(answer)
                self._note_clock(answer, (asked + time.time()) / 2)
                return self._body(answer, end)
        except (requests.RequestException, OSError) as error:
            raise Unavailable(f"{self.url}: {_short(error)}") from error

    def _refused(self, answer: requests.Response) -> None:
        status = answer.status_code
        if status == 200:
            return
        said = answer.raw.read(500, decode_content=True).decode("utf-8", "replace")
        message = f"{self.url}: {status} {answer.reason}: {' '.join(said.split())[:120]}".rstrip(": ")
        if 300 <= status < 500 and status not in _LATER:
            hint = "check the credentials" if status in {401, 403} else ""
            raise BadInput(message, hint=hint)
        raise Unavailable(message)

    def _body(self, answer: requests.Response, end: float) -> str:
        parts, room = [], self.http.max_mb << 20
        for chunk in answer.iter_content(1 << 16):
            room -= len(chunk)
            if room < 0:
                raise BadInput(f"{self.url}: its answer is larger than {self.http.max_mb} MB")
            if time.monotonic() > end:
                raise Unavailable(f"{self.url}: no complete answer within {self.http.timeout_s:g} s")
            parts.append(chunk)
        return b"".join(parts).decode("utf-8", "replace")

    def _note_clock(self, answer: requests.Response, ours: float) -> None:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError):
            return
        self.skew_s = theirs + 0.5 - ours  # the header has whole seconds

    def _credentials(self) -> dict[str, str]:
        if not self.http.token_env:
            return {}
        token, header = _secret(self.http.token_env), self.http.token_header
        return {header: f"Bearer {token}" if header == "Authorization" else token}

    def _basic(self) -> tuple[str, str] | None:
        if self.http.username_env and self.http.password_env:
            return _secret(self.http.username_env), _secret(self.http.password_env)
        return None


def _secret(name: str) -> str:
    found = os.environ.get(name)
    if not found:
        raise BadInput(f"{name}: not set, though `verification` names it")
    return found


def _short(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return " ".join(str(error).split())[:120]
