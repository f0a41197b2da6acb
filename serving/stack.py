"""
uvicorn without its command line.

`import uvicorn` also imports what reads options and watches over other processes: click, multiprocessing, supervisors.
That serves nobody here and is a twentieth of the start. Its parts can be imported without it once the package is known
by its folder alone.
"""

from __future__ import annotations

import importlib.util
import sys

PACKAGE = "uvicorn"


def without_command_line() -> None:
    """Make the package known; nothing happens where somebody has imported it whole."""
    if PACKAGE in sys.modules:
        return
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        return  # the import that follows says so
    package = sys.modules[PACKAGE] = importlib.util.module_from_spec(found)
    from uvicorn.config import Config

    vars(package)["Config"] = Config  # which its `lifespan` takes from the package
