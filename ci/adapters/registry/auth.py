"""
Who asks a registry: nobody, a name with a password, or the bearer of a token that the registry's own server hands out.

After the distribution project's token authentication: a request without credentials is answered with 401 and a challenge,
which names the way. A password goes only to the registry itself and to the token server that it names.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PARAMETER = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')
_SHORTEST_S = 60  # what the token protocol grants where a server does not say how long a token lives
_EARLY_S = 5


class Credentials:
    """Answers challenges, and remembers what it was given as long as that holds."""

    def __init__(self, url: str, login: tuple[str, str] | None, fetch: Callable[..., dict[str, Any]]) -> None:
        """`fetch(url, params, headers)` gets the JSON document of a token server."""
        self._url, self._login, self._fetch = url, login, fetch
        self._basic = False
        self._tokens: dict[str, tuple[str, float]] = {}

    def __repr__(self) -> str:
        """Show no secret, wherever this is printed."""
        return f"Credentials({self._url})"

    def header(self, scope: str) -> dict[str, str]:
        """Return what is known to open the registry for `scope`."""
        if self._basic and self._login:
            return {"Authorization": _basic(self._login)}
        token, until = self._tokens.get(scope, ("", 0.0))
        return {"Authorization": f"Bearer {token}"} if time.monotonic() < until else {}

    def answer(self, challenge: str, scope: str) -> bool:
        """
        Do what a challenge asks; False if that was done before, or cannot be done.

        Raises:
            BadInput: the token server refuses, or asks for a password over plain HTTP on behalf of an HTTPS registry.
            Unavailable: it does not answer, or not with a token.
        """
        kind, _, rest = challenge.strip().partition(" ")
        if kind.lower() == "basic" and self._login and not self._basic:
            self._basic = True
            return True
        if kind.lower() == "bearer":
            asked = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
            fresh = scope in self._tokens and time.monotonic() < self._tokens[scope][1]
            return not fresh and self._token(asked, scope)
        return False

    def forget(self, scope: str) -> None:
        """Drop a token that the registry no longer takes."""
        self._tokens.pop(scope, None)

    def _token(self, asked: dict[str, str], scope: str) -> bool:
        realm = asked.get("realm", "")
        if urlsplit(realm).scheme not in {"http", "https"}:
            raise BadInput(f"{self._url}: asks for a token without saying where to get one")
        if self._login and realm.startswith("http://") and self._url.startswith("https://"):
            raise BadInput(f"{self._url}: wants the password sent to {realm} in the clear")
        wanted: Sequence[str] = scope.split(" ") if scope else ()
        params = [("scope", item) for item in wanted]
        if "service" in asked:
            params.append(("service", asked["service"]))
        headers = {"Authorization": _basic(self._login)} if self._login else {}
        found = self._fetch(realm, params, headers)
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Unavailable(f"{realm}: answers without a token")
        lives = found.get("expires_in")
        lives = lives if isinstance(lives, int | float) and lives > 0 else _SHORTEST_S
        self._tokens[scope] = token, time.monotonic() + max(lives - _EARLY_S, lives / 2)
        return True


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + b64encode(":".join(login).encode()).decode()
