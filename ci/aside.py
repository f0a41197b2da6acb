"""
Work done aside: by a child process, while this one does something else; docs/adr/0046-work-done-aside.md.

A child is an offer, never a need: if nothing comes of it, its parent does the work itself, and succeeds, fails or is
interrupted just as if there had been no child. So a child has no way of its own to complain.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST_S = 120.0
_STOPS = (signal.SIGINT, signal.SIGTERM)
_SIZE = 8  # bytes that say how many will follow: what is shorter was cut off
_PIECE = 1 << 20


@contextmanager
def aside(work: Callable[[], bytes], *, longest_s: float = _LONGEST_S) -> Iterator[Callable[[], bytes]]:
    """
    Begin `work` in a child; yield a function that returns what it made, or does `work` here if nothing came of it.

    The child ends with the block at the latest, whatever ends that. It is a copy of this process without its threads:
    `work` must write no files, and need no lock that a thread may hold.
    """
    with _child(lambda _: work(), longest_s) as line:
        yield lambda: work() if (made := _received(line)) is None else made


@contextmanager
def ready(
    warm: Callable[[], object], work: Callable[[bytes], bytes], *, longest_s: float = _LONGEST_S
) -> Iterator[Callable[[bytes], bytes]]:
    """Let a child `warm` up for `work`; yield a function that has it done, once, by the child or else here; as `aside`."""

    def wait(line: socket.socket) -> bytes:
        warm()
        if (given := _received(line)) is None:
            raise EOFError
        return work(given)

    with _child(wait, longest_s) as line:

        def done(given: bytes) -> bytes:
            made = _received(line) if _sent(line, given) else None
            return work(given) if made is None else made

        yield done


@contextmanager
def _child(serve: Callable[[socket.socket], bytes], longest_s: float) -> Iterator[socket.socket]:
    """Fork; yield the parent's end of a line to a child that sends what `serve` makes of its own end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(longest_s)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or the copy would write it again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    child = os.fork()
    if not child:
        _offer(serve, theirs)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        yield ours
    finally:
        ours.close()
        with suppress(ProcessLookupError, ChildProcessError):  # where somebody has told the system to bury children
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _offer(serve: Callable[[socket.socket], bytes], line: socket.socket) -> NoReturn:
    """Do the work and leave at once: what the parent does on its way out is not the child's to do."""
    try:
        for number in _STOPS:
            signal.signal(number, signal.SIG_DFL)  # the parent's handlers write its report
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.closerange(3, line.fileno())  # or locks of a parent that was killed would be held on
        os.closerange(line.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        made = serve(line)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        _sent(line, made)
    finally:
        os._exit(0)


def _sent(line: socket.socket, message: bytes) -> bool:
    """Send a message to somebody who may be gone."""
    try:
        line.sendall(len(message).to_bytes(_SIZE, "big"))
        line.sendall(message)
    except OSError:
        return False
    return True


def _received(line: socket.socket) -> bytes | None:
    """Wait for a message, though not for ever; None if none came whole."""
    said = bytearray()
    try:
        while len(said) < _SIZE or len(said) < _SIZE + int.from_bytes(said[:_SIZE], "big"):
            piece = line.recv(_PIECE)
            if not piece:
                return None
            said += piece
    except OSError:
        return None
    return bytes(said[_SIZE:])
