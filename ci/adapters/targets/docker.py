"""Servers as containers: the release's image by digest, on a network of the environment's own, nothing of this machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ci.adapters import registry
from ci.adapters.containers import PLACE, ROLE, Taken, free
from ci.adapters.http import ask
from ci.adapters.targets.servers import Server
from ci.adapters.targets.vault import Vault
from ci.errors import BadInput, Unavailable
from ci.packaging import archive
from ci.packaging.inside import python
from ci.rollout.targets import Seen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ci.adapters.containers import Containers
    from ci.params_environments import DockerTarget as Settings
    from ci.params_packaging import Registry as Where
    from ci.releases.record import Release
    from ci.rollout.state import Instance

PORT = 8080
KEPT = 5  # images of former releases, so that a roll-back needs no registry
_DATA, _SECRETS = "/data", "/run/slipway"  # where volumes are mounted
_MODELS = Server("serving", "--model", "SLIPWAY_SERVING_")
_AGAIN = "import os, signal; os.kill(1, signal.SIGHUP)"
_READY = """
import http.client
connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=2)
connection.request('GET', '/v2/health/ready')
answer = connection.getresponse()
print(answer.status, answer.getheader('x-slipway-release', ''))
"""


@dataclass(frozen=True, slots=True)
class Images:
    """Where the images of releases come from: a registry that the engine pulls from, or one whose blobs we load; opened only then."""

    where: Where

    def fetch(self, release: Release, engine: Containers) -> str:
        """
        Have the engine hold a release's image; return its id.

        Raises:
            BadInput: it was not packaged as a service, or is nowhere.
            Unavailable: registry or engine do not answer.
        """
        packaged = release.packagings.get("service")
        if packaged is None:
            raise BadInput(f"{release.name}: has no service packaging, and the docker target runs nothing else",
                           hint="package it with --as service")  # fmt: skip
        if self.where.url is None:
            return archive.fetch(registry.found(self.where), packaged.repository, packaged.digest, engine)
        registry.found(self.where)  # says what is wrong with how it is to be reached
        host = urlsplit(self.where.url).netloc
        return engine.pull(f"{host}/{packaged.repository}@{packaged.digest}").id


class DockerTarget:
    """Satisfies `ci.rollout.targets.Target`; what it knows it reads from the engine's labels."""

    def __init__(
        self, engine: Containers, base: str, settings: Settings, images: Images, patience_s: float = 25,
        server: Server = _MODELS,
    ) -> None:  # fmt: skip
        """Name the environment by `base`; nothing is made."""
        self._engine, self._base, self._settings, self._images = engine, base, settings, images
        self._labels, self._patience_s, self._runs = {PLACE: base}, patience_s, server
        self._vault = Vault(engine, base, server)

    def prepare(self, release: Release) -> None:
        """Have the image here under a name of this environment's own, which is also what it is found by without a registry."""
        tag = self._tag(release)
        found = self._engine.image(tag)
        if found is None:
            found = self._engine.image(self._images.fetch(release, self._engine))
            if found is None:
                raise Unavailable(f"{release.name}: its image was brought, and is gone")
            self._right(release, found.labels, str(found.config.get("User") or ""))
            name, _, word = tag.partition(":")
            self._engine.name_image(found.id, name, word)
        self._right(release, found.labels, str(found.config.get("User") or ""))
        if self._vault.keep():
            self._read_again()

    def _read_again(self) -> None:
        """Have servers read their files again; from inside, because a signal of the engine's would count as a person's stop."""
        for item in self._engine.listed({**self._labels, ROLE: "server"}):
            with suppress(Unavailable):
                self._engine.execute(item["Id"], python(_AGAIN), {})

    def _right(self, release: Release, labels: Mapping[str, str], user: str) -> None:
        if labels.get("io.slipway.bundle") != f"sha256:{release.bundle}":
            raise BadInput(f"{release.name}: the image that came is not of the bundle sha256:{release.bundle[:12]}")
        if not user.split(":", 1)[0].isdigit() or not int(user.split(":", 1)[0]):
            raise BadInput(f"{release.name}: its image runs as {user or 'root'}, not as a number above 0")

    def place(self, taken: Collection[tuple[str, int]]) -> tuple[str, int]:
        """Draw an address of the environment's network; it stays the container's own when it is started again."""
        subnet = self._network()
        used = {item["Labels"].get("io.slipway.address", "") for item in self._engine.listed(self._labels)}
        return free(self._engine, used | {host for host, _ in taken}, subnet), PORT

    def start(self, release: Release, instance: Instance) -> None:
        """Make the container and start it."""
        name = self._name(instance.id)
        found = self._engine.find(name)
        if found and found["State"]["Running"]:
            return
        if found is None:
            labels = {**self._labels, ROLE: "server", "io.slipway.project": release.project, "io.slipway.instance": instance.id,
                      "io.slipway.release": release.version, "io.slipway.address": instance.host}  # fmt: skip
            settings = {"HOST": "0.0.0.0", "PORT": str(instance.port), "RELEASE_VERSION": release.version}  # noqa: S104 # its own network
            own = self._runs.variables(_DATA, _SECRETS)
            self._network()
            with suppress(Taken):
                self._engine.create(
                    name, self._tag(release), labels, network=self._base, address=instance.host, restart=True,
                    memory_mb=self._runs.memory_mb or self._settings.memory_mb, cpus=self._settings.cpus,
                    environment={**{f"{self._runs.prefix}{key}": value for key, value in settings.items()}, **own},
                    volumes=self._volumes(),
                )  # fmt: skip
        self._engine.start(name)

    def running(self) -> Mapping[str, Seen]:
        """Return the containers with this environment's labels."""
        found = {}
        for item in self._engine.listed({**self._labels, ROLE: "server"}):
            told = self._engine.find(item["Id"])
            if told is not None:
                alive = told["State"]["Running"] and not told["State"]["Restarting"]
                found[item["Labels"]["io.slipway.instance"]] = Seen(alive, int(told["RestartCount"]))
        return found

    def ready(self, release: Release, instance: Instance) -> bool:
        """Ask the server: directly where this machine is on its network, else from inside its container."""
        mine = f"@{release.version}; bundle=sha256:{release.bundle[:12]}"
        if self._engine.local:
            with suppress(Unavailable):
                url = f"http://{instance.host}:{instance.port}/v2/health/ready"
                status, headers, _ = ask(url, timeout_s=1)
                return status == 200 and headers.get("x-slipway-release", "").endswith(mine)
        found = self._engine.find(self._name(instance.id))
        if found is None or not found["State"]["Running"]:
            return False
        with suppress(Unavailable):
            code, out = self._engine.execute(found["Id"], python(_READY.replace("PORT", str(int(instance.port)))), {})
            return code == 0 and out.startswith(b"200 ") and out.decode().strip().endswith(mine)
        return False

    def stop(self, ids: Collection[str], patience_s: float) -> None:
        """SIGTERM, and SIGKILL when patience ends; all at once. The last one takes the network with it."""
        names = [self._name(item) for item in ids]
        with ThreadPoolExecutor(max(1, min(8, len(names)))) as pool:
            list(pool.map(lambda name: self._ended(name, patience_s), names))
        if not self._engine.listed({**self._labels, ROLE: "server"}):
            self._engine.drop_network(self._base)  # unless Envoy is still on it

    def _ended(self, name: str, patience_s: float) -> None:
        self._engine.stop(name, patience_s)
        self._engine.discard(name)

    def tail(self, instance: str) -> str:
        """Return the end of its log."""
        return self._engine.said(self._name(instance))

    def forget(self, keep: Collection[str]) -> None:
        """Remove names of images, but for what is in use and the last few; other environments have names of their own."""
        tags = self._engine.named_images(self._base)
        for tag in sorted(tags, key=lambda item: tags[item], reverse=True)[KEPT:]:
            found = self._engine.image(tag)
            if found and found.labels.get("io.slipway.bundle", "").removeprefix("sha256:") not in keep:
                self._engine.remove(tag)

    def _volumes(self) -> dict[str, str]:
        """Return what is mounted where; the data outlives releases, and `steps.stop`."""
        data = f"{self._base}-data"
        if self._runs.keeps_data:
            self._engine.volume(data, {**self._labels, ROLE: "data"})
        kept = {data: f"{_DATA}:rw"} if self._runs.keeps_data else {}
        return kept | ({self._vault.volume: f"{_SECRETS}:ro"} if self._runs.secrets else {})

    def _network(self) -> str:
        return self._engine.network(self._base, self._labels, self._settings.subnet)

    def _name(self, instance: str) -> str:
        return f"{self._base}-{instance}"

    def _tag(self, release: Release) -> str:
        packaged = release.packagings.get("service")
        return f"{self._base}:{packaged.digest.replace(':', '-') if packaged else 'none'}"
