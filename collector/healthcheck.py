"""
Ask the service in this container whether it is ready; for HEALTHCHECK, where there is no curl.

Reads   COLLECTOR_PORT
Exits   0 ready, 1 not
"""

from __future__ import annotations

import os
import sys

from serving.healthcheck import ask

if __name__ == "__main__":
    sys.exit(ask(os.environ.get("COLLECTOR_PORT", "8090")))
