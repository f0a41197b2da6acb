"""
One HTTP exchange with somebody else's server: no redirects, bounded in time and size.

With `private` false, addresses of private networks and of this machine are refused.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 4 * 2**20
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back; header names as `requests` compares them."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    session: requests.Session, method: str, url: str, *, timeout_s: float, private: bool = True, **more: Any
) -> Answered:
    """
    Send one request and read all of its answer.

    Raises:
        BadInput: the address is private and must not be, or the certificate is not trusted.
        Unavailable: no whole answer within `timeout_s`, or one of more than 4 MiB.
    """
    host = urlsplit(url).hostname or ""
    if not private:
        _public(host)
    until = time.monotonic() + timeout_s
    try:
        with session.request(method, url, timeout=timeout_s, allow_redirects=False, stream=True, **more) as answer:
            body = bytearray()
            for part in answer.iter_content(_CHUNK):
                body += part
                if len(body) > LIMIT:
                    raise Unavailable(f"{host}: answers with more than {LIMIT} bytes")
                if time.monotonic() > until:
                    raise Unavailable(f"{host}: no whole answer within {timeout_s:g} s")
            return Answered(answer.status_code, answer.headers, bytes(body))
    except requests.exceptions.SSLError as error:
        raise BadInput(f"{host}: its certificate is not trusted", hint="name its authority as `ca`") from error
    except requests.exceptions.Timeout as error:
        raise Unavailable(f"{host}: no answer within {timeout_s:g} s") from error
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as error:
        raise BadInput(f"{host or 'URL'}: not an address that could be asked") from error
    except (requests.exceptions.RequestException, OSError) as error:  # the URL may be a secret: only the kind is told
        raise Unavailable(f"{host}: does not answer ({type(error).__name__})") from error


def _public(host: str) -> None:
    """
    Refuse a name that leads into a private network.

    Raises:
        BadInput: it does.
        Unavailable: the name cannot be resolved.
    """
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise Unavailable(f"{host}: no such host") from error
    inside = [address for address in found if not ipaddress.ip_address(address.split("%")[0]).is_global]
    if inside:
        raise BadInput(f"{host}: {inside[0]} is a private address", hint="`private: true` allows it")
