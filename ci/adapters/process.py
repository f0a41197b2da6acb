"""The one door to other processes: argument lists, no shell, always a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
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
    extra_environment: Mapping[str, str] | None = None,
) -> int:
    """
    Run a command and hand on each line of its output (both streams) as it comes; return the exit code.

    Raises:
        BadInput: there is no such command.
    """
    with _started(command, None, extra_environment, merged=True) as process:
        try:
            for line in process.stdout or ():
                on_line(line.rstrip("\n"))
            return process.wait()
        finally:
            _end(process)


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
