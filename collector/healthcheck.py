"""
Ask the service in this container whether it is ready; for HEALTHCHECK, where there is no curl.

Reads   COLLECTOR_PORT
Exits   0 ready, 1 not
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException


def main() -> int:
    """Return 0 when the service says that it is ready."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("COLLECTOR_PORT", "8090")), timeout=2)
    try:
        connection.request("GET", "/v2/health/ready")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
