"""
One HTTP exchange with somebody else's server: no redirects, bounded in time and size.

With `private` false, addresses of private networks and of this machine are refused.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3

from ci.errors import BadInput, StepError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 4 * 2**20
_CHUNK = 65_536
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


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
    ends: list[Answered | StepError] = []

    def ask() -> None:
        try:
            ends.append(_exchanged(session, method, url, host, timeout_s, private=private, **more))
        except StepError as error:
            ends.append(error)

    # Time limits of sockets begin anew with each byte, and names are resolved without any: a thread is left behind instead.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not ends:
        raise Unavailable(f"{host}: no whole answer within {timeout_s:g} s")
    if isinstance(ends[0], StepError):
        raise ends[0]
    return ends[0]


def _exchanged(
    session: requests.Session, method: str, url: str, host: str, timeout_s: float, *, private: bool, **more: Any
) -> Answered:
    if not private:
        _public(host)
    until = time.monotonic() + timeout_s
    try:
        with session.request(method, url, timeout=timeout_s, allow_redirects=False, stream=True, **more) as answer:
            body = bytearray()
            while part := answer.raw.read1(_CHUNK, decode_content=True):
                body += part
                if len(body) > LIMIT:
                    raise Unavailable(f"{host}: answers with more than {LIMIT} bytes")
                if time.monotonic() > until:
                    raise Unavailable(f"{host}: no whole answer within {timeout_s:g} s")
            return Answered(answer.status_code, answer.headers, bytes(body))
    except requests.exceptions.SSLError:
        raise BadInput(f"{host}: its certificate is not trusted", hint="name its authority as `ca`") from None
    except (requests.exceptions.Timeout, TimeoutError, urllib3.exceptions.TimeoutError):
        raise Unavailable(f"{host}: no whole answer within {timeout_s:g} s") from None
    except _NO_ADDRESS:
        raise BadInput(f"{host or 'URL'}: not an address that could be asked") from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # the URL may be a secret, and errors tell it: only their kind is told
        raise Unavailable(f"{host}: does not answer ({type(error).__name__})") from None


def _public(host: str) -> None:
    """
    Refuse a name that leads into a private network.

    Raises:
        BadInput: it does.
        Unavailable: the name cannot be resolved.
    """
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        raise Unavailable(f"{host}: no such host") from None
    inside = [address for address in found if not ipaddress.ip_address(address.split("%")[0]).is_global]
    if inside:
        raise BadInput(f"{host}: {inside[0]} is a private address", hint="`private: true` allows it")
