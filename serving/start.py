"""
The start, in the order that takes the least time; what is imported where is the point of this module.

First what a model needs is imported, and a thread begins to open it. Most of that is the work of onnxruntime, which does
not hold Python up: the HTTP stack is imported meanwhile. The event loop finds a model that is open, or nearly.
"""

from __future__ import annotations

import gc
import signal
import sys
from typing import TYPE_CHECKING

from serving.listening import listening

if TYPE_CHECKING:
    from types import FrameType

    from serving.events import Events
    from serving.settings import Settings


def run(settings: Settings) -> int:
    """
    Serve until told to stop; returns the exit code.

    Raises:
        BadOption: the address cannot be listened on, or the bundle's address or the events' file is none.
    """
    # The first process of a container is deaf to signals that it does not ask for: `docker stop` would wait in vain.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is about to look anyway
    listener = listening(settings.host, settings.port)
    from serving.state import State

    state = State(settings, _events(settings))
    state.repository.begin()
    import uvloop

    from serving.stack import without_command_line

    without_command_line()
    from serving.server import serve

    gc.freeze()  # no collection looks at what was imported again, while requests wait
    gc.enable()
    return uvloop.run(serve(state, listener))


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 # what the signal module calls
    sys.exit(0)  # nothing has been promised to anybody yet


def _events(settings: Settings) -> Events | None:
    if not settings.events_rate:
        return None
    from serving.events import Events  # its HTTP client takes a while to import

    found = Events(
        rate=settings.events_rate,
        file=settings.events_file,
        url=settings.events_url,
        token=settings.events_token,
        size=settings.events_queue,
    )
    found.start()
    return found
