"""
The first process of Envoy's container: `python3 door.py FOLDER ENVOY OPTION…`. Standard library only: it is all that is in there.

It starts Envoy again at once when that ends by itself: the engine takes a second to do so. And it takes changes out of
FOLDER/inbox.json, so that nobody has to start a process in the container to move weights. The engine writes that file
piece by piece; one that matches its own digest is whole. Its files are written beside and renamed, which is what Envoy
watches for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

POLL_S, TIDY_S, LONGEST_S, STEADY_S = 0.02, 5.0, 3.0, 5.0  # waiting for the longest is not living steadily
INBOX = "inbox.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}\.json")


def sealed(files: dict[str, str], *, tidy: bool) -> bytes:
    """Return what to leave in the inbox: files by name, and whether servers of releases that are not among them go."""
    wish = json.dumps({"files": files, "tidy": tidy})
    return json.dumps({"sha256": hashlib.sha256(wish.encode()).hexdigest(), "wish": wish}).encode()


def opened(raw: bytes) -> dict[str, Any] | None:
    """Return the wish in an inbox; None if it is not whole (yet)."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        document = json.loads(raw)
        wish = document["wish"]
        if hashlib.sha256(wish.encode()).hexdigest() == document["sha256"]:
            found: dict[str, Any] = json.loads(wish)
            return found
    return None


class Door:
    """Envoy, and the files that it watches."""

    def __init__(self, folder: str, command: list[str]) -> None:
        """Name both; nothing is started."""
        self._folder, self._command = folder, command
        self._child: subprocess.Popen[bytes] | None = None
        self._started = self._not_before = 0.0
        self._quick = 0  # ends in a row that came soon after the start
        self._tidy: tuple[float, set[str]] | None = None
        self.leaving = False

    def once(self) -> bool:
        """Look once; return whether there is still something to look after."""
        clock = time.monotonic()
        ended = self._child is None or self._child.poll() is not None
        if self.leaving:
            if not ended and self._child is not None:
                self._child.terminate()
            return not ended
        if ended and clock >= self._not_before:
            self._start(clock)
        self._take(clock)
        return True

    def _start(self, clock: float) -> None:
        """Start Envoy; at once the first time, later each time while it ends soon."""
        self._quick = self._quick + 1 if clock - self._started < STEADY_S else 0
        self._not_before = clock + min(0.1 * 2**self._quick, LONGEST_S) if self._quick else 0.0
        self._started = clock
        self._child = subprocess.Popen(self._command)

    def _take(self, clock: float) -> None:
        inbox = os.path.join(self._folder, INBOX)  # noqa: PTH118 # the container's python is small and slow to import
        with suppress(OSError):
            with open(inbox, "rb") as file:  # noqa: PTH123 # as above
                wish = opened(file.read())
            if wish is None:
                return
            os.unlink(inbox)  # noqa: PTH108 # before: what comes next is another's
            files = {name: text for name, text in wish["files"].items() if _NAME.fullmatch(name)}
            for name, text in files.items():
                self._put(name, text)
            self._tidy = (clock + TIDY_S, set(files)) if wish["tidy"] else self._tidy
        if self._tidy and clock > self._tidy[0]:
            for name in os.listdir(self._folder):  # noqa: PTH208 # as above
                if name.startswith("eds-") and name not in self._tidy[1]:
                    os.unlink(os.path.join(self._folder, name))  # noqa: PTH108, PTH118 # as above
            self._tidy = None

    def _put(self, name: str, text: str) -> None:
        beside = os.path.join(self._folder, f".{name}.part")  # noqa: PTH118 # as in _take
        with open(beside, "w", encoding="utf-8") as out:  # noqa: PTH123 # as above
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, os.path.join(self._folder, name))  # noqa: PTH105, PTH118 # as in _take

    def leave(self, *_signal: object) -> None:
        """Let Envoy end, and end with it."""
        self.leaving = True


def main() -> int:
    """Look after Envoy until told to stop; only validate, if that is what it was asked to."""
    folder, command = sys.argv[1], sys.argv[2:]
    if "--mode" in command:
        os.execv(command[0], command)  # noqa: S606 # no shell
    door = Door(folder, command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, door.leave)
    while door.once():
        time.sleep(POLL_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
