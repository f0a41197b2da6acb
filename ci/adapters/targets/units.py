"""Wishes for processes that outlive the step: written here, fulfilled by `supervisor`."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.targets.supervisor import marked
from ci.errors import Unavailable
from ci.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_ROOT = Path(__file__).resolve().parents[3]
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")  # not BUILD_ID: Jenkins ends what carries it


class Units:
    """The processes of one environment."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is made."""
        self.folder = folder.resolve()

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], stop_s: float) -> None:
        """Wish for a process; the same wish twice is one."""
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        wish = {"argv": list(argv), "env": {**kept, **env}, "stop_s": stop_s}
        path = self.folder / "units" / f"{name}.json"
        if not path.is_file() or read_json(path) != wish:
            write_json(path, wish)
        self.look_after()

    def names(self) -> set[str]:
        """Return what is wished for."""
        return {path.stem for path in (self.folder / "units").glob("*.json")}

    def alive(self) -> dict[str, int]:
        """Return what runs: name to pid."""
        return marked(self.folder)

    def restarts(self, name: str) -> int:
        """Return how often a process had to be started again."""
        with suppress(OSError, ValueError, Exception):
            return int(read_json(self.folder / "run" / f"{name}.json")["restarts"])
        return 0

    def stop(self, names: Collection[str], patience_s: float) -> None:
        """
        Take wishes back and wait until the processes are gone.

        Raises:
            Unavailable: something did not end.
        """
        for name in names:
            (self.folder / "units" / f"{name}.json").unlink(missing_ok=True)
        deadline = time.monotonic() + patience_s + 10
        while left := set(names) & set(self.alive()):
            self.look_after()
            if time.monotonic() > deadline:
                raise Unavailable(f"{min(left)}: does not end", hint=f"look at {self.folder}/logs")
            time.sleep(0.05)

    def tail(self, name: str, lines: int = 5) -> str:
        """Return the last lines of a log."""
        with suppress(OSError), (self.folder / "logs" / f"{name}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4000))
            return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
        return ""

    def look_after(self) -> None:
        """See that somebody fulfils the wishes."""
        if self._looked_after():
            return
        for name in ("units", "run", "logs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with (self.folder / "logs" / "supervisor.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "ci.adapters.targets.supervisor", str(self.folder)],
                cwd=_ROOT,
                env={key: os.environ[key] for key in _KEPT if key in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _looked_after(self) -> bool:
        with suppress(FileNotFoundError), (self.folder / "supervisor.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
