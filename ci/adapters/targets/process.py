"""Servers as processes of this machine: `python -m serving`, say, on a bundle folder that was brought here by digest."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.http import ask
from ci.adapters.targets.servers import Server
from ci.errors import BadInput, Unavailable
from ci.files import replacing, replacing_folder, said_plainly, sha256, sha256_of_tree
from ci.rollout.targets import PlaceTaken, Seen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ci.adapters.targets.units import Units
    from ci.releases.record import Release
    from ci.rollout.state import Instance
    from ci.rollout.targets import Bundles

_SERVING = Path(__file__).resolve().parents[3] / "serving"
_MODELS = Server("serving", "--model", "SLIPWAY_SERVING_")
_PORTS = range(20_000, 30_000)  # below what the system gives to outgoing connections


def free_port(taken: Collection[tuple[str, int]], seed: str | None = None) -> int:
    """
    Find a port of loopback on which nobody listens; with a seed, two agents who look at once find the same.

    Raises:
        Unavailable: there is none.
    """
    draw = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 # no secret
    for port in draw.sample(_PORTS, 200):
        if ("127.0.0.1", port) not in taken and is_free(port):
            return port
    raise Unavailable("no free port between 20000 and 29999")


def is_free(port: int) -> bool:
    """Whether nobody listens at a port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


class ProcessTarget:
    """Satisfies `ci.rollout.targets.Target`."""

    def __init__(
        self, units: Units, bundles: Bundles, shelf: Path, patience_s: float = 25.0, server: Server = _MODELS
    ) -> None:
        """Keep bundles and the server's code on `shelf`, shared by environments; data and secrets beside the units."""
        self._units, self._bundles, self._shelf, self._patience_s = units, bundles, shelf.resolve(), patience_s
        self._runs, self._home = server, units.folder.parent

    def prepare(self, release: Release) -> None:
        """Fetch the bundle by digest, and have the server's code and secrets here, so that nothing depends on a checkout."""
        folder = self._bundle(release)
        if not folder.is_dir():
            with replacing_folder(folder) as beside:
                self._bundles.fetch(release, beside)
                manifest = beside / "manifest.json"
                if not manifest.is_file() or sha256(manifest) != release.bundle:
                    raise BadInput(f"{release.name}: the bundle that came is not sha256:{release.bundle[:12]}")
        self._code(release)
        self._keep_secrets()

    def place(self, taken: Collection[tuple[str, int]]) -> tuple[str, int]:
        """Return loopback and a free port."""
        return "127.0.0.1", free_port(taken)

    def start(self, release: Release, instance: Instance) -> None:
        """Wish for the server's process, unless it could not bind."""
        if not self._lives(instance) and not is_free(instance.port) and not self._lives(instance):
            raise PlaceTaken(instance)
        argv = [sys.executable, "-m", self._runs.module, self._runs.option, str(self._bundle(release)), "--host",
                instance.host, "--port", str(instance.port), "--release-version", release.version]  # fmt: skip
        own = self._runs.variables(str(self._home / "data"), str(self._secrets))
        self._units.start(instance.id, argv, {"PYTHONPATH": str(self._code(release)), **own}, self._patience_s)

    def _lives(self, instance: Instance) -> bool:
        return instance.id in self._units.alive()

    def running(self) -> Mapping[str, Seen]:
        """Return servers that are wished for or alive."""
        alive = self._units.alive()
        names = {name for name in self._units.names() | set(alive) if name != "envoy"}
        return {name: Seen(name in alive, self._units.restarts(name)) for name in names}

    def ready(self, release: Release, instance: Instance) -> bool:
        """Ask the server; a stranger at the same port does not answer with this release and bundle."""
        self._units.look_after()
        with suppress(Unavailable):
            status, headers, _ = ask(f"http://{instance.host}:{instance.port}/v2/health/ready", timeout_s=2)
            said = headers.get("x-slipway-release", "")
            mine = f"@{release.version}; bundle=sha256:{release.bundle[:12]}"
            return status == 200 and said.endswith(mine)
        return False

    def stop(self, ids: Collection[str], patience_s: float) -> None:
        """Take the wishes back; SIGTERM, and SIGKILL when patience ends."""
        self._units.stop(ids, patience_s)

    def tail(self, instance: str) -> str:
        """Return the end of its log."""
        return self._units.tail(instance)

    def forget(self, keep: Collection[str]) -> None:  # noqa: ARG002 # the shelf is shared
        """Leave bundles alone: other environments share the shelf; drop logs of servers that are gone."""
        known = self._units.names()
        logs = sorted((self._units.folder / "logs").glob("*-v*.log"), key=lambda path: path.stat().st_mtime)
        for path in [path for path in logs if path.stem not in known][:-20]:
            path.unlink(missing_ok=True)

    def _bundle(self, release: Release) -> Path:
        return self._shelf / "bundles" / release.bundle

    @property
    def _secrets(self) -> Path:
        return self._home / "secrets"

    def _keep_secrets(self) -> None:
        """Write what this machine knows, for the servers' user alone; what it does not know must be there already."""
        if self._runs.keeps_data:
            with said_plainly(self._home / "data"):
                (self._home / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        changed = [name for name, known in self._runs.secrets.items() if self._kept(name, known)]
        for name, pid in self._units.alive().items() if changed else ():
            if name != "envoy":
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGHUP)  # it reads its files again

    def _kept(self, name: str, known: bytes | None) -> bool:
        """Write one secret; say whether it is another than before."""
        path = self._secrets / name
        there = path.read_bytes() if path.is_file() else None
        if known is None and there is None:
            raise self._runs.lacking(name, str(self._secrets))
        if known is None or known == there:
            return False
        with said_plainly(path):
            self._secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.chmod(0o600)
            beside.write_bytes(known)
        return True

    def _code(self, release: Release) -> Path:
        """Return where Python finds the server: in the bundle, which is held to its seal first, or in a copy of ours."""
        if self._runs.code:
            from ci.model.bundles import verify  # brings pandas along, which would be half of a rollback's start-up

            verify(self._bundle(release))
            return self._bundle(release) / self._runs.code
        home = self._shelf / "servers" / sha256_of_tree(_SERVING)[:16]
        if not (home / "serving").is_dir():
            with replacing_folder(home) as beside:
                shutil.copytree(_SERVING, beside / "serving", ignore=shutil.ignore_patterns("__pycache__"))
        return home
