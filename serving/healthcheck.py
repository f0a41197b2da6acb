"""
Ask the server in this container whether it is ready; for HEALTHCHECK, where there is no curl.

Reads   SLIPWAY_SERVING_PORT
Exits   0 ready, 1 not
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException


def ask(port: str) -> int:
    """Return 0 when who listens at that port of this host says that it is ready, else 1."""
    try:
        connection = HTTPConnection("127.0.0.1", int(port), timeout=2)
        connection.request("GET", "/v2/health/ready")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, HTTPException, ValueError):
        return 1


if __name__ == "__main__":
    sys.exit(ask(os.environ.get("SLIPWAY_SERVING_PORT", "8080")))
