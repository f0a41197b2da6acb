"""
Envoy in a container of the environment's network: its files in a volume, changed by renaming inside the container.

Statistics are read over the published port where the engine is on this machine, and else from inside. Admin itself
listens on the container's own loopback.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import time
import zlib
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ci.adapters import http
from ci.adapters.containers import PLACE, ROLE, Gone, Taken
from ci.adapters.targets import door
from ci.adapters.targets import inside_envoy as inside
from ci.errors import BadInput, Unavailable
from ci.packaging.inside import python
from ci.rollout import router as resources
from ci.rollout.router import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ci.adapters.containers import Containers
    from ci.params_environments import DockerTarget as Settings
    from ci.rollout.router import Cluster, Routes
    from ci.rollout.state import State

DOOR, ADMIN, STATS = 8000, 9901, 9902  # inside
FOLDER = "/router"
EFFECT_S, UP_S, CHECK_S = 8.0, 30.0, 60.0
MEMORY_MB = 512
INBOX_S = 3.0  # for a change that was left to the container's first process; then it is done by a process of our own
DOOR_LABEL = "io.slipway.door"
_CHUNK = 100_000  # bytes of one environment variable: the system takes 128 KiB


class ContainerRouter:
    """Satisfies `ci.rollout.targets.Router`."""

    def __init__(
        self, engine: Containers, base: str, settings: Settings, state: Callable[[], State], image: Callable[[], str]
    ) -> None:
        """Name the environment by `base`; `state` tells its ports, `image` makes or finds Envoy's image, when needed."""
        self._engine, self._base, self._settings, self._first, self._image = engine, base, settings, state, image
        self._name, self._volume, self._labels = f"{base}-envoy", f"{base}-router", {PLACE: base, ROLE: "router"}
        self._attended = False  # whether the container's first process takes changes; `up` looks

    @property
    def _state(self) -> State:
        return self._first()

    @cached_property
    def _door(self) -> Door:
        return Door(
            project=self._state.project, environment=self._state.environment, host="0.0.0.0", port=DOOR,  # noqa: S104 # inside
            admin_host="127.0.0.1", admin_port=ADMIN, stats_port=STATS, folder=FOLDER,
        )  # fmt: skip

    @property
    def address(self) -> str:
        """Where callers go."""
        return f"http://{self._settings.address}:{self._state.door}"

    @property
    def admin(self) -> str:
        """Where statistics are, on the engine's machine; read-only."""
        return f"http://127.0.0.1:{self._state.admin}"

    def check(self, clusters: Sequence[Cluster], routes: Routes) -> None:
        """Have a container of the same image validate all of it."""
        command = ["--mode", "validate", "--config-path", "/opt/whole.json"]
        labels = {**self._labels, ROLE: "check"}
        for left in self._engine.listed(labels):  # by somebody who was killed
            self._engine.discard(left["Id"])
        made = self._engine.create(f"{self._base}-check-{time.time_ns():x}", self._image(), labels, memory_mb=MEMORY_MB,
                                   command=command, read_only=False)  # fmt: skip
        try:
            whole = resources.whole(self._door, clusters, routes).encode()
            self._engine.put(made, "/opt", {"whole.json": whole})
            self._engine.start(made)
            if self._engine.wait(made, CHECK_S):
                said = " ".join(self._engine.said(made, 20).split())
                raise BadInput(f"Envoy refuses the configuration: {said[:300]}")
        finally:
            self._engine.discard(made)

    def up(self) -> None:
        """See that the container runs, and wait until the door is open."""
        found = self._engine.find(self._name)
        self._attended = found is None or DOOR_LABEL in found["Config"]["Labels"]
        if found is None:
            self._made()
        elif not found["State"]["Running"]:
            self._started()
        deadline = time.monotonic() + UP_S
        while self._stats("listener_manager").get("listener_manager.total_listeners_active") != "2":
            if time.monotonic() > deadline:
                raise Unavailable(f"Envoy does not come up at {self.address}: {self._last()}")
            time.sleep(0.05)

    def clusters(self, clusters: Sequence[Cluster]) -> None:
        """Make these known; what Envoy says that it holds already is not written again."""
        files, expected = resources.files_of(self._door, clusters)
        self._change(files, expected, tidy=True)

    def routes(self, routes: Routes) -> None:
        """Make these the weights."""
        document = resources.routes(routes)
        self._change({"rds.json": document}, {resources.RDS_TEXT: resources.version_of(document)})

    def healthy(self, cluster: str) -> int:
        """Return `membership_healthy`."""
        name = f"cluster.{cluster}.membership_healthy"
        return int(self._stats(name.replace(".", r"\.")).get(name, "0"))

    def holds(self) -> tuple[str, str] | None:
        """Return what it runs with."""
        texts = self._texts()
        return (texts.get(resources.CDS_TEXT, ""), texts.get(resources.RDS_TEXT, "")) if texts else None

    def down(self) -> None:
        """Stop it; its volume goes with it."""
        self._engine.stop(self._name, 5)
        self._engine.discard(self._name)
        self._engine.drop_volume(self._volume)
        self._engine.drop_network(self._base)  # unless servers are still on it

    def ask(
        self, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None, timeout_s: float = 3.0
    ) -> tuple[int, dict[str, str], bytes]:
        """
        Send one request as `ci.adapters.http.ask` does, from inside Envoy's container: a remote engine's networks end there.

        Raises:
            Unavailable: no answer, or no Envoy.
        """
        for outside, port in ((self.address, DOOR), (self.admin, ADMIN)):
            if url.startswith(f"{outside}/"):
                url = f"http://127.0.0.1:{port}{url.removeprefix(outside)}"
        wish = {"url": url, "body": None if body is None else json.dumps(body), "headers": dict(headers or {}),
                "timeout_s": timeout_s}  # fmt: skip
        found = self._inside(inside.ASK, wish)
        if "fault" in found:
            raise Unavailable(f"{url}: does not answer ({found['fault']})")
        return int(found["status"]), found["headers"], base64.b64decode(found["body"])

    def _made(self) -> None:
        subnet = self._engine.network(self._base, self._labels, self._settings.subnet)
        self._engine.volume(self._volume, self._labels)
        ports = {DOOR: (self._settings.address, self._state.door), STATS: ("127.0.0.1", self._state.admin)}
        # The state's volume is mounted, though Envoy never reads it, so that no `docker volume prune` takes it away.
        volumes = {self._volume: f"{FOLDER}:rw", f"{self._base}-state": "/state:ro"}
        with suppress(Taken):
            self._engine.create(
                self._name, self._image(), self._labels, network=self._base,
                address=str(ipaddress.ip_network(subnet)[2]), memory_mb=MEMORY_MB, cpus=2.0, restart=True, ports=ports,
                volumes=volumes,
            )  # fmt: skip
        there = self._engine.get(self._name, FOLDER) or {}
        first = {name: text for name, text in resources.first_files(self._door).items() if name not in there}
        wanted = {**first, "bootstrap.json": resources.bootstrap(self._door)}
        self._engine.put(self._name, FOLDER, {name: text.encode() for name, text in wanted.items()})
        self._started()

    def _started(self) -> None:
        try:
            self._engine.start(self._name)
        except Unavailable as error:
            if "port" not in str(error) and "address already in use" not in str(error):
                raise
            self._engine.discard(self._name)  # else the engine would go on trying
            ports = f"{self._state.door} or {self._state.admin}"
            raise Unavailable(f"port {ports} of {self._settings.address} on the engine's machine is taken",
                              hint="end what has it and deploy again; `ports` names the door's before the first time") from error  # fmt: skip

    def _change(self, files: Mapping[str, str], expected: Mapping[str, str], *, tidy: bool = False) -> None:
        if self._holding(expected):
            return
        if self._attended and self._engine.local:
            with suppress(Gone):
                self._leave(door.sealed(dict(files), tidy=tidy))
                if self._in_effect(expected):
                    return
        wish = {"folder": FOLDER, "files": dict(files), "expected": dict(expected), "limit_s": EFFECT_S,
                "admin": ADMIN, "tidy": tidy}  # fmt: skip
        found = self._inside(inside.CHANGE, wish)
        if not found.get("effect"):
            raise Unavailable(f"Envoy does not take the new configuration: {self._last()}",
                              hint=f"docker logs {self._name}")  # fmt: skip

    def _leave(self, wish: bytes) -> None:
        """Leave a wish in the inbox; it may be taken out before the engine has done with the file, which then complains."""
        try:
            self._engine.put(self._name, FOLDER, {door.INBOX: wish})
        except Unavailable as error:
            if door.INBOX not in str(error):
                raise

    def _holding(self, expected: Mapping[str, str]) -> bool:
        texts = self._texts()
        return all(texts.get(name) == value for name, value in expected.items())

    def _in_effect(self, expected: Mapping[str, str]) -> bool:
        deadline = time.monotonic() + INBOX_S
        while not (there := self._holding(expected)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return there

    def _inside(self, program: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        raw = base64.b64encode(zlib.compress(json.dumps(wish).encode())).decode()
        parts = {
            f"SLIPWAY_WISH_{place:04}": raw[at : at + _CHUNK] for place, at in enumerate(range(0, len(raw), _CHUNK))
        }
        try:
            code, out = self._engine.execute(self._name, python(program), parts)
        except Gone as error:
            raise Unavailable(f"{self._name}: Envoy is down", hint="python -m steps.reconcile") from error
        with suppress(ValueError):
            if code == 0:
                answer: dict[str, Any] = json.loads(out)
                return answer
        raise Unavailable(f"{self._name}: {' '.join(out.decode('utf-8', 'replace').split())[-200:]}")

    def _admin(self, path: str) -> bytes:
        url = f"{self.admin}{path}"
        if self._engine.local:
            with suppress(Unavailable):
                status, _, raw = http.ask(url, timeout_s=2)
                return raw if status == 200 else b""
        with suppress(Unavailable):
            return self.ask(url)[2]
        return b""

    def _texts(self) -> dict[str, str]:
        with suppress(ValueError):
            raw = self._admin("/stats?type=TextReadouts&format=json")
            return {item["name"]: str(item["value"]) for item in json.loads(raw)["stats"] if "value" in item}
        return {}

    def _stats(self, pattern: str) -> dict[str, str]:
        raw = self._admin(f"/stats?filter={pattern}")
        return dict(line.split(": ", 1) for line in raw.decode().splitlines() if ": " in line)

    def _last(self) -> str:
        return " ".join(self._engine.said(self._name, 2).split())[-250:] or "no word in its log"
