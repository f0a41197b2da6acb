"""
The door to DVC: its command line in a process of its own, watched.

DVC retries for many minutes when a remote is full or gone, and says nothing. So a silence that is no stage at work ends
after `timeout_s`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.process import Finished, follow, run
from ci.errors import BadInput, Unavailable
from ci.files import read_json, said_plainly, sha256_of, write_json
from ci.stages import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ci.shared import Remote

_DVC = (sys.executable, "-m", "dvc")
_PUSHED = Path(".slipway", "pushed.json")
_LOCK = Path(".slipway", "repro.lock")


class DvcCommand:
    """DVC in this checkout."""

    def __init__(self, settings: Remote, remote: str | None = None) -> None:
        """Use the remote called `remote`, or DVC's default."""
        self._settings = settings
        self._remote = ["--remote", remote] if remote else []

    def repro(
        self, targets: Sequence[str], *, pull: bool, force: bool, on_line: Callable[[str], None], alone: bool = False
    ) -> Log:
        """
        Reproduce the targets and what they depend on, or the targets `alone`; lines go to `on_line` as they come.

        Raises:
            Unavailable: DVC was silent for `timeout_s` outside of a stage: the remote does not answer.
        """
        log = Log(time.monotonic)
        asked = (("--pull", pull), ("--force", force), ("--single-item", alone))
        flags = [flag for flag, wanted in asked if wanted]

        def line(text: str) -> None:
            log.line(text)
            on_line(text)

        code = follow(
            [*_DVC, "repro", *flags, *targets],
            line,
            silence_s=self._settings.timeout_s,
            may_be_silent=lambda: log.running,
            extra_environment=_environment(),
        )
        log.end()
        if code and not log.errors:
            log.errors.append(f"dvc repro ended with {code}")
        return log

    def push(self, targets: Sequence[str]) -> int:
        """
        Push outputs and run cache, unless nothing changed since the last push of the same dvc.lock.

        Raises:
            Unavailable: the remote did not take it.
        """
        state = sha256_of([Path("dvc.lock").read_text(encoding="utf-8"), _config(), self._remote])
        if _PUSHED.exists() and read_json(_PUSHED) == state:
            return 0
        jobs = ["--jobs", str(self._settings.jobs)]
        done = self._ask("push", "--run-cache", "--with-deps", *jobs, *self._remote, *targets)
        if done.code:
            raise Unavailable(f"dvc push: {_why(done)}", hint="nothing is lost: the cache has it; run again")
        missing = self.unpushed(targets)
        if missing:
            raise Unavailable(f"dvc push: {len(missing)} outputs are still not in the remote: {', '.join(missing[:5])}")
        write_json(_PUSHED, state)
        found = re.search(r"(\d+) files? pushed", done.out)
        return int(found.group(1)) if found else 0

    def changed(self, targets: Sequence[str]) -> list[str]:
        """
        List the stages whose inputs or outputs changed.

        Raises:
            BadInput: DVC cannot say, because dvc.yaml or a params file is wrong.
        """
        done = self._ask("status", "--with-deps", "--json", *targets)
        if done.code:
            raise BadInput(f"dvc status: {_why(done)}")
        return sorted(json.loads(done.out[done.out.index("{") :] if "{" in done.out else "{}"))

    def unpushed(self, targets: Sequence[str]) -> list[str]:
        """
        List outputs that dvc.lock names and the remote lacks.

        Raises:
            Unavailable: the remote did not answer.
        """
        done = self._ask("status", "--cloud", "--with-deps", "--json", *self._remote, *targets)
        if done.code:
            raise Unavailable(f"dvc status --cloud: {_why(done)}")
        found = json.loads(done.out[done.out.index("{") :] if "{" in done.out else "{}")
        return sorted(name for name, state in found.items() if state in {"new", "missing"})

    def _ask(self, *arguments: str) -> Finished:
        try:
            return run([*_DVC, *arguments], timeout_s=self._settings.timeout_s, extra_environment=_environment())
        except Unavailable as error:
            message = f"dvc {arguments[0]}: the remote did not answer within {self._settings.timeout_s} s"
            raise Unavailable(
                message, hint="look at `dvc remote list`; the limit is remote.timeout_s in params.yaml"
            ) from error


@contextmanager
def alone() -> Iterator[None]:
    """
    Hold the clone: two runs at once would overwrite each other's outputs.

    Raises:
        Unavailable: another run holds it; the message says which, since when.
        Unavailable, BadInput: the disk is full; the clone cannot be written.
    """
    with ExitStack() as stack:
        with said_plainly(_LOCK):
            _LOCK.parent.mkdir(exist_ok=True)
            held = stack.enter_context(_LOCK.open("a+", encoding="utf-8"))
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held.seek(0)
            raise Unavailable(f"another repro works in this clone ({held.read().strip() or 'just started'})",
                              hint="wait for it, or use a clone of your own") from error  # fmt: skip
        with said_plainly(_LOCK):
            held.truncate(0)
            held.write(f"process {os.getpid()} since {datetime.now(UTC):%H:%M:%S} UTC")
            held.flush()
        yield
        held.truncate(0)


def _environment() -> dict[str, str]:
    """Let stages find this Python, and keep DVC's own chatter down."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _config() -> list[str]:
    return [
        path.read_text(encoding="utf-8") for name in ("config", "config.local") if (path := Path(".dvc", name)).exists()
    ]


def _why(done: Finished) -> str:
    lines = [line for line in (done.err + "\n" + done.out).splitlines() if line.startswith("ERROR")]
    return (lines[0].removeprefix("ERROR: ") if lines else f"ended with {done.code}")[:200]


def initialised() -> None:
    """
    Make sure that this is a DVC checkout.

    Raises:
        BadInput: it is not.
    """
    if not Path(".dvc", "config").is_file():
        raise BadInput(".dvc: this checkout has no DVC configuration", hint="dvc init")
