"""What deployments ask of a Docker engine beyond images: networks, volumes, containers that stay. No host path anywhere."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ci.adapters.engine import Docker, _line, _Stream, packed
from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

ROLE, PLACE = "io.slipway.role", "io.slipway.environment"
LIMIT = 8 << 20  # bytes that are taken out of a container at once
NOBODY = 65_532
_MB = 1 << 20


class Taken(Unavailable):
    """The name is in use: somebody else was quicker."""


class Gone(Unavailable):
    """There is no such container (any more)."""


class Containers(Docker):
    """A Docker engine, local or remote, for what outlives the step that made it."""

    @property
    def local(self) -> bool:
        """Whether the engine runs on this machine, so that its networks may be reached directly."""
        return self.place.startswith("unix://")

    def network(self, name: str, labels: Mapping[str, str], subnet: str | None) -> str:
        """
        Return the addresses of a network (CIDR); it is made if need be.

        Its addresses are named when it is made: else the engine hands out others when a container is started again.
        """
        found = self._ask(lambda: self._client.api.networks(names=[name]))
        for item in [item for item in found if item["Name"] == name]:
            return str(item["IPAM"]["Config"][0]["Subnet"])
        if subnet is None:  # let the engine pick, then insist on it
            self.drop_network(f"{name}-draw")  # of somebody who was killed
            made = self._ask(lambda: self._client.api.create_network(f"{name}-draw", labels=dict(labels)))
            subnet = self._ask(lambda: self._client.api.inspect_network(made["Id"]))["IPAM"]["Config"][0]["Subnet"]
            self._ask(lambda: self._client.api.remove_network(made["Id"]))
        pool = {"Driver": "default", "Config": [{"Subnet": subnet}]}
        self._ask(lambda: self._client.api.create_network(name, check_duplicate=True, ipam=pool, labels=dict(labels)))
        return str(subnet)

    def drop_network(self, name: str) -> None:
        """Remove a network; one in use, or gone, is left alone."""
        with suppress(self._errors.NotFound, Unavailable):
            self._ask(lambda: self._client.api.remove_network(name))

    def volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume; one that is there stays."""
        self._ask(lambda: self._client.api.create_volume(name, labels=dict(labels)))

    def has_volume(self, name: str) -> bool:
        """Whether there is such a volume."""
        with suppress(self._errors.NotFound):
            return bool(self._ask(lambda: self._client.api.inspect_volume(name)))
        return False

    def drop_volume(self, name: str) -> None:
        """Remove a volume; one in use, or gone, is left alone."""
        with suppress(self._errors.NotFound, Unavailable):
            self._ask(lambda: self._client.api.remove_volume(name))

    def create(
        self, name: str, image: str, labels: Mapping[str, str], *, network: str | None = None, address: str | None = None,
        memory_mb: int = 64, cpus: float = 1.0, restart: bool = False, ports: Mapping[int, tuple[str, int]] | None = None,
        volumes: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None, user: str | None = None,
        command: Sequence[str] | None = None, read_only: bool = True,
    ) -> str:  # fmt: skip
        """
        Make a container with as little as it can be given; it is not started. Return its id.

        `ports` are published: port inside to address and port of the engine's machine. `volumes`: name to "/folder:rw".

        Raises:
            Taken: the name is in use.
        """
        api = self._client.api
        host = api.create_host_config(
            mem_limit=memory_mb * _MB, memswap_limit=memory_mb * _MB, nano_cpus=int(cpus * 1e9), pids_limit=512,
            read_only=read_only, cap_drop=["ALL"], security_opt=["no-new-privileges"],
            restart_policy={"Name": "unless-stopped"} if restart else None,
            port_bindings={inside: [place] for inside, place in (ports or {}).items()},
            binds=[f"{volume}:{where}" for volume, where in (volumes or {}).items()],
            log_config={"type": "json-file", "config": {"max-size": "4m", "max-file": "2"}},
            network_mode=network or "none",
        )  # fmt: skip
        networking = (
            api.create_networking_config({network: api.create_endpoint_config(ipv4_address=address)})
            if network and address
            else None
        )

        def make() -> Any:
            try:
                return api.create_container(
                    image, list(command) if command else None, name=name, labels=dict(labels), host_config=host,
                    networking_config=networking, environment=dict(environment or {}), user=user,
                    ports=list(ports or {}) or None,
                )  # fmt: skip
            except self._errors.APIError as error:
                if error.status_code == 409:
                    raise Taken(f"{name}: is there already") from error
                raise

        try:
            return str(self._ask(make)["Id"])
        except self._errors.NotFound as error:
            raise BadInput(f"docker: {self.place}: {_line(error.explanation)}") from error

    def find(self, name: str) -> dict[str, Any] | None:
        """Return what the engine tells of a container, by name or id."""
        try:
            found: dict[str, Any] = self._ask(lambda: self._client.api.inspect_container(name))
        except self._errors.NotFound:
            return None
        return found

    def listed(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the containers with these labels, running or not."""
        wanted = {"label": [f"{key}={value}" for key, value in labels.items()]}
        found: list[dict[str, Any]] = self._ask(lambda: self._client.api.containers(all=True, filters=wanted))
        return found

    def published(self) -> set[int]:
        """Return the ports of the engine's machine that its containers have."""
        found = self._ask(lambda: self._client.api.containers(all=True))
        return {port["PublicPort"] for item in found for port in item.get("Ports") or () if "PublicPort" in port}

    def start(self, name: str) -> None:
        """Start a container; one that runs is left alone."""
        self._of(name, lambda: self._client.api.start(name))

    def stop(self, name: str, patience_s: float) -> None:
        """Stop a container, politely at first; one that is gone is fine."""
        with suppress(Gone):
            self._of(name, lambda: self._client.api.stop(name, timeout=int(patience_s)))

    def discard(self, name: str) -> None:
        """Remove a container, whatever it does; one that is gone is fine."""
        with suppress(Gone):
            self._of(name, lambda: self._client.api.remove_container(name, force=True, v=True))

    def put(self, name: str, folder: str, files: Mapping[str, bytes], owner: int = NOBODY, mode: int = 0o644) -> None:
        """Write files into a container, running or not. No reader should be there yet: it would see parts of them."""
        self._of(name, lambda: self._client.api.put_archive(name, folder, packed(files, owner, mode)))

    def get(self, name: str, path: str) -> dict[str, bytes] | None:
        """
        Read a file, or the files of a folder, out of a container, running or not; None if the path is not there.

        Raises:
            Gone: there is no such container.
        """
        try:
            stream, _ = self._ask(lambda: self._client.api.get_archive(name, path))
        except self._errors.NotFound as error:
            if "No such container" in str(error.explanation):
                raise Gone(f"{name}: gone") from error
            return None
        found: dict[str, bytes] = {}
        with tarfile.open(fileobj=_Stream(stream), mode="r|") as archive:
            for entry in archive:
                if entry.size > LIMIT:
                    raise Unavailable(f"{name}: {path}: larger than {LIMIT} bytes")
                if entry.isreg() and (file := archive.extractfile(entry)):
                    found[entry.name.rsplit("/", 1)[-1]] = file.read()
        return found

    def execute(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bytes]:
        """
        Run a command in a container; return its exit code and what it wrote.

        Raises:
            Gone: there is no such container.
            Unavailable: it does not run.
        """
        api = self._client.api
        made = self._of(name, lambda: api.exec_create(name, list(command), environment=dict(environment)))
        out = self._of(name, lambda: api.exec_start(made["Id"]))
        code = self._of(name, lambda: api.exec_inspect(made["Id"]))["ExitCode"]
        return (code if code is not None else -1), out or b""

    def wait(self, name: str, limit_s: float) -> int:
        """Wait until a container ends; return its exit code."""
        return int(self._of(name, lambda: self._client.api.wait(name, timeout=limit_s))["StatusCode"])

    def said(self, name: str, lines: int = 5) -> str:
        """Return the last lines that a container wrote."""
        with suppress(Gone):
            raw = self._of(name, lambda: self._client.api.logs(name, tail=lines))
            return str(raw.decode("utf-8", "replace"))
        return ""

    def name_image(self, image_id: str, name: str, tag: str) -> None:
        """Give an image one more name."""
        self._ask(lambda: self._client.api.tag(image_id, name, tag, force=True))

    def named_images(self, name: str) -> dict[str, str]:
        """Return the tags of a name, and when each was given."""
        found = self._ask(lambda: self._client.api.images(name=name))
        tags = [tag for item in found for tag in item.get("RepoTags") or () if tag.startswith(f"{name}:")]
        when = {tag: self._ask(partial(self._client.api.inspect_image, tag)) for tag in tags}
        return {tag: str((item.get("Metadata") or {}).get("LastTagTime", "")) for tag, item in when.items()}

    def _of(self, name: str, question: Callable[[], Any]) -> Any:
        try:
            return self._ask(question)
        except self._errors.NotFound as error:
            raise Gone(f"{name}: {_line(error.explanation)}") from error


def free(containers: Containers, avoid: Collection[str], subnet: str) -> str:
    """Draw an address of a subnet that nobody has; the first sixteen are kept for the gateway and Envoy."""
    import ipaddress
    import random

    net = ipaddress.ip_network(subnet)
    draw = random.SystemRandom()
    for _ in range(1000):
        found = str(net[draw.randrange(16, net.num_addresses - 1)])
        if found not in avoid:
            return found
    raise Unavailable(f"docker: {containers.place}: no free address in {subnet}")
