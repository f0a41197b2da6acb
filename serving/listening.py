"""The socket that a service listens on, opened before anything else takes its time."""

from __future__ import annotations

import socket

from serving.errors import BadOption


def listening(host: str, port: int) -> socket.socket:
    """
    Open it; port 0 takes a free one.

    Raises:
        BadOption: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise BadOption(f"--host {host} --port {port}: {error.strerror or error}") from error
