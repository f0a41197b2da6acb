"""
Keep the processes of one environment running: `python -m ci.adapters.targets.supervisor FOLDER`.

Each file FOLDER/units/<id>.json wishes for a process; removing it ends the process. A process that ends by itself is
started again, later each time. What runs is found by a mark in its environment, so that a supervisor that was killed
is replaced by one that adopts the survivors. It leaves when nothing is wished for.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARK = "SLIPWAY_UNIT"
POLL_S = 0.05
LONGEST_WAIT_S = 10.0
LOG_BYTES = 4 * 2**20
STEADY_S = 5.0


@dataclass
class Unit:
    """One process that is wished for, or on its way out."""

    pid: int | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    quick: int = 0  # ends in a row that came soon after the start; the first of them costs no waiting
    not_before: float = 0.0
    leaving: float | None = None
    stop_s: float = 30.0
    code: int | None = None
    wish: dict[str, Any] = field(default_factory=dict)


def marked(folder: Path) -> dict[str, int]:
    """Return the living processes that were started for this folder: id to pid."""
    start, found = f"{MARK}={folder}:".encode(), {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            variables = (place / "environ").read_bytes().split(b"\0")
            mark = next((item for item in variables if item.startswith(start)), None)
            if mark and (place / "stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}:
                found[mark[len(start) :].decode()] = int(place.name)
    return found


class Supervisor:
    """The loop; all its memory is about backing off, so that it may die at any moment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.units = folder, {}
        for name, pid in marked(folder).items():
            self.units[name] = Unit(pid=pid, started=time.monotonic())

    units: dict[str, Unit]

    def once(self) -> bool:
        """Look at wishes and processes once; return whether there is anything left to look after."""
        wishes = self._wishes()
        for name, wish in wishes.items():
            unit = self.units.setdefault(name, Unit())
            unit.wish, unit.stop_s, unit.leaving = wish, float(wish["stop_s"]), None
            self._keep(name, unit)
        for name in [name for name in self.units if name not in wishes]:
            if self._gone(self.units[name]):
                del self.units[name]
                (self.folder / "run" / f"{name}.json").unlink(missing_ok=True)
        return bool(self.units)

    def _wishes(self) -> dict[str, dict[str, Any]]:
        found = {}
        for path in (self.folder / "units").glob("*.json"):
            with suppress(OSError, ValueError):
                found[path.stem] = json.loads(path.read_text("utf-8"))
        return found

    def _keep(self, name: str, unit: Unit) -> None:
        if self._alive(unit):
            return
        clock = time.monotonic()
        if unit.pid is not None:  # it ended by itself
            lived, unit.pid = clock - unit.started, None
            unit.restarts += 1
            unit.quick = 0 if lived > STEADY_S else unit.quick
            unit.not_before = clock + (min(0.1 * 2**unit.quick, LONGEST_WAIT_S) if unit.quick else 0)
            unit.quick = min(unit.quick + 1, 8)
            self._tell(name, unit)
        if clock >= unit.not_before:
            self._start(name, unit)

    def _start(self, name: str, unit: Unit) -> None:
        log = self.folder / "logs" / f"{name}.log"
        with suppress(OSError):
            if log.stat().st_size > LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
        variables = {**unit.wish["env"], MARK: f"{self.folder}:{name}"}
        unit.started = time.monotonic()
        try:
            with log.open("ab") as out:
                unit.process = subprocess.Popen(
                    unit.wish["argv"], env=variables, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:  # no disk, no such command: as if it had ended at once
            unit.code, unit.process, unit.pid = error.errno, None, -1
            return
        unit.pid = unit.process.pid
        self._tell(name, unit)

    def _alive(self, unit: Unit) -> bool:
        if unit.pid is None or unit.pid < 0:
            return False
        if unit.process is not None:
            unit.code = unit.process.poll()
            return unit.code is None
        return marked(self.folder).get(self._name(unit)) == unit.pid  # adopted: not our child

    def _name(self, unit: Unit) -> str:
        return next(name for name, other in self.units.items() if other is unit)

    def _gone(self, unit: Unit) -> bool:
        if not self._alive(unit):
            return True
        clock = time.monotonic()
        with suppress(ProcessLookupError, PermissionError):
            if unit.leaving is None:
                unit.leaving = clock
                os.kill(int(unit.pid or 0), signal.SIGTERM)
            elif clock - unit.leaving > unit.stop_s:
                os.kill(int(unit.pid or 0), signal.SIGKILL)
        return False

    def _tell(self, name: str, unit: Unit) -> None:
        path = self.folder / "run" / f"{name}.json"
        with suppress(OSError):  # a full disk must not end what keeps things running
            beside = path.with_suffix(".part")
            beside.write_text(json.dumps({"pid": unit.pid, "restarts": unit.restarts, "code": unit.code}), "utf-8")
            beside.replace(path)


def main(folder: Path) -> int:
    """Look after a folder until nothing is wished for; 0 also when somebody else does already."""
    for name in ("units", "run", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (folder / "supervisor.lock").open("a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        supervisor, idle = Supervisor(folder), 0
        while idle < 2 / POLL_S:
            idle = 0 if supervisor.once() else idle + 1
            time.sleep(POLL_S)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
