"""
Run the collection service.

Reads   COLLECTOR_* from the environment, the contract files, the tokens file
Writes  the store and the folder of Parquet files; JSON logs on stderr
Exits   0 told to stop and drained, 2 a setting, contract or token cannot be used, 5 the database does not answer
"""

from __future__ import annotations

import os
import sys

from collector.errors import StoreError
from collector.settings import parse
from serving import log
from serving.errors import BAD_INPUT, BadOption

_UNAVAILABLE = 5


def main() -> int:
    """Run the service; returns its exit code."""
    try:
        settings = parse(sys.argv[1:], os.environ)
        log.setup(settings.log_level)
        import uvloop

        from collector.server import serve

        return uvloop.run(serve(settings))
    except BadOption as error:
        sys.stderr.write(f"collector: bad input: {error}\n")
        return BAD_INPUT
    except StoreError as error:
        sys.stderr.write(f"collector: unavailable: {error}\n")
        return _UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main())
