"""
Work done aside: by a child process, while this one does something else; docs/adr/0046-work-done-aside.md.

A child is an offer, never a need: if nothing comes of it, its parent does the work itself, and succeeds, fails or is
interrupted just as if there had been no child. So a child has no way of its own to complain.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST_S = 120.0
_STOPS = (signal.SIGINT, signal.SIGTERM)
_SIZE = 8  # bytes that say how many will follow: what is shorter was cut off


@contextmanager
def aside(work: Callable[[], bytes], *, longest_s: float = _LONGEST_S) -> Iterator[Callable[[], bytes]]:
    """
    Begin `work` in a child; yield a function that returns what it made, or does `work` here if nothing came of it.

    The child ends with the block at the latest, whatever ends that. It is a copy of this process without its threads:
    `work` must write no files, and need no lock that a thread may hold.
    """
    source, target = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or the copy would write it again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    child = os.fork()
    if not child:
        _offer(work, target)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(target)
        yield lambda: work() if (made := _received(source, longest_s)) is None else made
    finally:
        os.close(source)
        with suppress(ProcessLookupError, ChildProcessError):  # where somebody has told the system to bury children
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _offer(work: Callable[[], bytes], target: int) -> NoReturn:
    """Do the work and leave at once: what the parent does on its way out is not the child's to do."""
    try:
        for number in _STOPS:
            signal.signal(number, signal.SIG_DFL)  # the parent's handlers write its report
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.closerange(3, target)  # or locks of a parent that was killed would be held on
        os.closerange(target + 1, os.sysconf("SC_OPEN_MAX"))
        made = work()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with os.fdopen(target, "wb") as pipe:
            pipe.write(len(made).to_bytes(_SIZE, "big") + made)
    finally:
        os._exit(0)


def _received(source: int, longest_s: float) -> bytes | None:
    """Wait for the child, though not for ever; None if it failed."""
    if not select.select([source], [], [], longest_s)[0]:
        return None
    with os.fdopen(os.dup(source), "rb") as pipe:
        said = pipe.read()
    made = said[_SIZE:]
    return made if len(said) >= _SIZE and len(made) == int.from_bytes(said[:_SIZE], "big") else None
