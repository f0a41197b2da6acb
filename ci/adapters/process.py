"""The one door to other processes: argument lists, no shell, always a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finished:
    """What a process left behind."""

    code: int
    out: str
    err: str


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
) -> Finished:
    """
    Run a command to its end and keep what it says.

    Raises:
        BadInput: there is no such command.
        Unavailable: it took longer than `timeout_s`; it and its children were ended.
    """
    with _started(command, cwd, extra_environment, merged=False) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{command[0]}: no answer within {timeout_s:g} s: {' '.join(command)[:200]}") from error
        finally:
            _end(process)
    return Finished(process.returncode, out, err)


def follow(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    silence_s: float | None = None,
    may_be_silent: Callable[[], bool] = lambda: False,
    extra_environment: Mapping[str, str] | None = None,
) -> int:
    """
    Run a command and hand on each line of its output (both streams) as it comes; return the exit code.

    Raises:
        BadInput: there is no such command.
        Unavailable: nothing was heard for `silence_s` while `may_be_silent` said no; the command was ended.
    """
    with _started(command, None, extra_environment, merged=True) as process:
        watch = _Watch(process, silence_s, may_be_silent)
        try:
            for line in process.stdout or ():
                watch.heard()
                on_line(line.rstrip("\n"))
            code = process.wait()
        finally:
            watch.end()
            _end(process)
    if watch.ended_it:
        raise Unavailable(f"{' '.join(command[-3:])[:100]}: silent for {silence_s:g} s")
    return code


class _Watch:
    """Ends a process that has been silent for too long."""

    def __init__(
        self, process: subprocess.Popen[str], silence_s: float | None, may_be_silent: Callable[[], bool]
    ) -> None:
        self.ended_it = False
        self._process, self._silence_s, self._may_be_silent = process, silence_s, may_be_silent
        self._last, self._done = time.monotonic(), threading.Event()
        if silence_s is not None:
            threading.Thread(target=self._watch, args=(silence_s,), daemon=True).start()

    def heard(self) -> None:
        self._last = time.monotonic()

    def end(self) -> None:
        self._done.set()

    def _watch(self, silence_s: float) -> None:
        while not self._done.wait(min(0.5, silence_s / 2)):
            if self._may_be_silent():
                self._last = time.monotonic()
            elif time.monotonic() - self._last > silence_s:
                self.ended_it = True
                _end(self._process)
                return


def _started(
    command: Sequence[str], cwd: Path | None, extra: Mapping[str, str] | None, *, merged: bool
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**os.environ, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # so that the whole family can be ended
        )
    except FileNotFoundError as error:
        raise BadInput(f"{command[0]}: command not found") from error
    except PermissionError as error:
        raise BadInput(f"{command[0]}: may not be run ({error.strerror})") from error


def _end(process: subprocess.Popen[str]) -> None:
    """End what still runs: first politely, then not."""
    if process.poll() is not None:
        return
    for number, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return
