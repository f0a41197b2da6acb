"""A small door to our own servers on this machine or network: short answers, short times."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ci.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 8 * 2**20


def ask(
    url: str, *, body: Any = None, headers: Mapping[str, str] | None = None, timeout_s: float = 3.0, method: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """
    Send one request; return status, headers (lower case) and body.

    Raises:
        Unavailable: no answer within the time, or one that is too long.
    """
    place = urlsplit(url)
    data = None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=timeout_s)
    try:
        path = place.path + (f"?{place.query}" if place.query else "")
        kind = {"content-type": "application/json"} if data is not None else {}
        connection.request(method or ("POST" if data is not None else "GET"), path, data, {**kind, **(headers or {})})
        answer = connection.getresponse()
        raw = answer.read(LIMIT + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{url}: does not answer ({str(error) or type(error).__name__})") from error
    finally:
        connection.close()
    if len(raw) > LIMIT:
        raise Unavailable(f"{url}: answers with more than {LIMIT} bytes")
    return answer.status, {key.lower(): value for key, value in answer.getheaders()}, raw
