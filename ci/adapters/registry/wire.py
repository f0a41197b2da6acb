"""
Requests to a registry: authorized, bounded in bytes and seconds, repeated where that is harmless, and told in words.

A request that may be repeated (it reads, or puts content under its own digest) is tried again after a pause if the
connection breaks or the registry says 429, 502, 503 or 504. What a registry says in its JSON errors is passed on.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests

from ci.adapters.registry.auth import Credentials
from ci.errors import BadInput, StepError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AGAIN = {429, 502, 503, 504}
_TRIES = 4
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_ERROR_LIMIT, _TOKEN_LIMIT = 64 << 10, 1 << 20
_CHUNK = 1 << 20


class Wire:
    """One registry's HTTP side."""

    def __init__(self, url: str, login: tuple[str, str] | None, ca: str | None, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self._verify: bool | str = ca or True
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.max_redirects = 5
        self._credentials = Credentials(self.url, login, self._fetch_token)

    def ask(
        self,
        method: str,
        path: str,
        scope: str,
        *,
        repeat: bool = True,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """
        Send one request and return the answer, its body unread; `path` may be the full URL that a registry gave.

        Raises:
            Unavailable: no answer, or one that says to come back later, after four tries.
            BadInput: the registry's certificate cannot be trusted, or a token server refuses.
        """
        url = urljoin(self.url + "/", path)
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._authorized(method, url, scope, data, headers or {})
            except Unavailable:
                if not repeat or attempt == _TRIES:
                    raise
                pause_s = _PAUSE_S * 2**attempt
            else:
                if answer.status_code not in _AGAIN or not repeat or attempt == _TRIES:
                    return answer
                pause_s = _asked_for(answer) or _PAUSE_S * 2**attempt
                answer.close()
            time.sleep(min(pause_s, _LONGEST_PAUSE_S))
        raise AssertionError

    def read(self, answer: requests.Response, limit: int, what: str) -> bytes:
        """
        Read a body.

        Raises:
            BadInput: more than `limit` bytes.
            Unavailable: it stops coming, or takes too long.
        """
        return b"".join(self.pieces(answer, limit, what))

    def pieces(self, answer: requests.Response, limit: int, what: str) -> Iterator[bytes]:
        """Yield a body piece by piece; raises as `read` does."""
        end, left = time.monotonic() + self._timeout_s, limit
        with answer, _in_words(self.url):
            for piece in answer.iter_content(_CHUNK):
                left -= len(piece)
                if left < 0:
                    raise BadInput(f"{self.url}: {what} is larger than the {limit:,} bytes allowed")
                if time.monotonic() > end:
                    raise Unavailable(f"{self.url}: {what} did not arrive within {self._timeout_s:g} s")
                yield piece

    def expect(self, answer: requests.Response, codes: set[int], what: str) -> int:
        """
        Take an answer without looking at its body; return its status.

        Raises:
            StepError: as `refusal` says, if the status is none of `codes`.
        """
        if answer.status_code not in codes:
            raise self.refusal(answer, what)
        answer.close()
        return answer.status_code

    def refusal(self, answer: requests.Response, what: str) -> StepError:
        """Turn an answer that is no success into an error: what was asked for, then what the registry says."""
        with answer:
            said = _said(answer)
        message = f"{self.url}: {what}: {answer.status_code} {said}".rstrip()
        if answer.status_code in {401, 403}:
            hint = "registry.username_env and registry.password_env in params.yaml name who asks"
            return BadInput(message, hint=hint)
        if answer.status_code >= 500 or answer.status_code in {408, 425, 429}:
            return Unavailable(message)
        return BadInput(message)

    def _authorized(
        self,
        method: str,
        url: str,
        scope: str,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> requests.Response:
        ours = _origin(url) == _origin(self.url)
        answer = self._send(method, url, data, {**headers, **(self._credentials.header(scope) if ours else {})})
        if answer.status_code != 401 or not ours:
            return answer
        if "Authorization" in (answer.request.headers or {}):
            self._credentials.forget(scope)
        if not self._credentials.answer(answer.headers.get("WWW-Authenticate", ""), scope):
            return answer
        answer.close()
        return self._send(method, url, data, {**headers, **self._credentials.header(scope)})

    def _send(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> requests.Response:
        with _in_words(self.url):
            return self._session.request(
                method,
                url,
                data=data,
                headers={"Accept-Encoding": "identity", **headers},
                auth=_as_is,
                timeout=self._timeout_s,
                verify=self._verify,
                stream=True,
                allow_redirects=method in {"GET", "HEAD"},
            )

    def _fetch_token(self, realm: str, params: list[tuple[str, str]], headers: dict[str, str]) -> dict[str, Any]:
        with _in_words(realm):
            answer = self._session.get(
                realm, params=params, headers=headers, auth=_as_is, timeout=self._timeout_s, verify=self._verify,
                stream=True, allow_redirects=False,
            )  # fmt: skip
        if answer.status_code != 200:
            raise self.refusal(answer, f"token from {realm}")
        try:
            found = json.loads(self.read(answer, _TOKEN_LIMIT, "the token"))
        except ValueError as error:
            raise Unavailable(f"{realm}: answers without a token") from error
        return found if isinstance(found, dict) else {}


class _in_words:  # noqa: N801  # used as a verb
    """Translate what the HTTP library raises; never with headers, which may hold a password."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, requests.exceptions.SSLError):
            hint = "registry.ca in params.yaml names the file of its certificate authority"
            raise BadInput(f"{self._where}: its certificate is not trusted ({_line(error)})", hint=hint) from error
        if isinstance(error, requests.exceptions.Timeout):
            raise Unavailable(f"{self._where}: does not answer in time") from error
        if isinstance(error, requests.RequestException):
            raise Unavailable(f"{self._where}: does not answer ({_line(error)})") from error


def _as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave headers as they are: the library would look for a password in ~/.netrc."""
    return request


def _origin(url: str) -> tuple[str, str]:
    split = urlsplit(url)
    return split.scheme, split.netloc.lower()


def _asked_for(answer: requests.Response) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _said(answer: requests.Response) -> str:
    """Read what a registry says of its error, a line at most."""
    try:
        raw = next(answer.iter_content(_ERROR_LIMIT), b"")
        first = json.loads(raw)["errors"][0]
        detail = f" ({json.dumps(first['detail'])[:120]})" if first.get("detail") else ""
        return f"{first.get('code', '')}: {first.get('message', '')}{detail}"[:240]
    except (ValueError, LookupError, TypeError, AttributeError, requests.RequestException):
        return answer.reason or ""


def _line(error: Exception) -> str:
    reason: Any = error.args[0] if error.args else error
    return " ".join(str(getattr(reason, "reason", reason)).split())[-160:]
