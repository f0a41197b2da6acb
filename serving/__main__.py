"""
Serve one model bundle.

Reads   the bundle named by --model or MODEL_URI
Writes  JSON logs on stderr; sampled events where --events-file or --events-url say
Exits   0 told to stop and drained, 2 an option or the bundle cannot be used
"""

from __future__ import annotations

import os
import sys

import uvloop

from serving import log
from serving.errors import BadOption
from serving.server import BAD_INPUT, serve
from serving.settings import parse


def main() -> int:
    """Run the server; returns its exit code."""
    try:
        settings = parse(sys.argv[1:], os.environ)
        log.setup(settings.log_level)
        return uvloop.run(serve(settings))
    except BadOption as error:
        sys.stderr.write(f"serving: bad input: {error}\n")
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
