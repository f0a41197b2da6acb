"""
Serve one model bundle.

Reads   the bundle named by --model or MODEL_URI
Writes  JSON logs on stderr; sampled events where --events-file or --events-url say
Exits   0 told to stop and drained, 2 an option or the bundle cannot be used
"""

from __future__ import annotations

import gc
import os
import sys

from serving import log
from serving.errors import BAD_INPUT, BadOption
from serving.settings import parse


def main() -> int:
    """Run the server; returns its exit code."""
    gc.disable()  # until all is imported, and that stays: to look for garbage in it took an eighth of the start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's would start one for each core, for nothing here
    try:
        settings = parse(sys.argv[1:], os.environ)
        log.setup(settings.log_level)
        from serving.start import run  # when the options are known to be good, because it takes a while

        return run(settings)
    except BadOption as error:
        sys.stderr.write(f"serving: bad input: {error}\n")
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
