"""The one place where an environment's doors are made: target, router, state, verification."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import wanted
from ci.adapters.envoy import ProcessRouter
from ci.adapters.http import ask
from ci.adapters.states import FolderState
from ci.adapters.targets.process import ProcessTarget, free_port
from ci.adapters.targets.servers import server_of
from ci.adapters.targets.units import Units
from ci.errors import BadInput, Unavailable
from ci.rollout.engine import Environments
from ci.rollout.health import HealthVerifier
from ci.rollout.router import Door
from ci.rollout.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.params_environments import Environment
    from ci.releases.record import Release
    from ci.rollout.interface import Arm, Verifier
    from ci.rollout.targets import Bundles
    from ci.shared import Shared

_READY = "/v2/health/ready"


def running(
    project: str,
    environment: Environment,
    shared: Shared,
    *,
    bundles: Bundles | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> Environments:
    """
    Open one project in one environment.

    Raises:
        BadInput: a bundle folder for a target that runs images.
        Unavailable: the Docker engine does not answer.
    """
    environment = shared.seen(project, environment)
    if environment.target.kind == "docker":
        from ci.adapters.targets.engine_environment import opened

        if bundles is not None:
            raise BadInput(f"--bundle: {environment.name} is a docker environment, which runs images by digest",
                           hint="package the bundle first (steps.package --as service)")  # fmt: skip
        return opened(project, environment, environment.target, shared, say=say)
    folder = Path(environment.root, project, environment.name).resolve()
    store = FolderState(folder)
    first = store.read() or _blank(project, environment, str(folder))
    units = Units(folder / "processes")
    door = Door(project=project, environment=environment.name, host="127.0.0.1", port=first.door,
                admin_host="127.0.0.1", admin_port=first.admin, folder=str(folder / "router"))  # fmt: skip
    server = server_of(project, environment, shared)
    target = ProcessTarget(units, bundles or RegistryBundles(shared), Path(environment.root), server=server)
    return Environments(environment, target, ProcessRouter(units, door), store, lambda: first, say)


def named(project: str, name: str, shared: Shared, say: Callable[[str], None] = lambda _text: None) -> Environments:
    """
    Open one project in the environment of a name.

    Raises:
        BadInput: there is none of that name.
        Unavailable: the Docker engine does not answer.
    """
    return running(project, wanted.environment(name, shared), shared, say=say)


def verifier(
    project: str, environment: Environment, shared: Shared, say: Callable[[str], None] = lambda _text: None
) -> Verifier:
    """Make what is asked at each stage of a rollout; `verification.by` of the environment chooses."""
    from ci.adapters.monitoring.looking import verifier as looking
    from ci.verification.deciding import AtDeadline, FirstOfAll

    environment = shared.seen(project, environment)
    policy, first = environment.verification, _health_of(project, environment, shared)
    if policy.by == "health":
        return first
    bundles = [Path("artifacts", project), Path(environment.root, "bundles")]
    found = looking(policy, say, bundles, send=sender(project, environment, shared))
    return FirstOfAll(first, AtDeadline(found, policy))


def watcher(
    project: str, environment: Environment, shared: Shared, say: Callable[[str], None] = lambda _text: None
) -> Verifier:
    """Make what is asked of a release that is live alone: example rows, and by statistics its limits, record and labels."""
    from ci.adapters.monitoring.looking import verifier as looking

    environment = shared.seen(project, environment)
    policy = environment.verification
    if policy.by == "health":
        return _health_of(project, environment, shared)
    return looking(policy, say, [Path("artifacts", project), Path(environment.root, "bundles")])


def sender(project: str, environment: Environment, shared: Shared) -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Return what sends requests to servers: this machine, or Envoy's container where only that gets through."""
    if environment.target.kind == "docker":
        from ci.adapters.targets.engine_environment import asker

        return asker(project, environment, environment.target, shared)
    return ask


def _health_of(project: str, environment: Environment, shared: Shared) -> Verifier:
    prober = HttpProber if shared.services.of(project) is None else ServiceProber
    return HealthVerifier(prober(sender(project, environment, shared)))


def health(**options: Any) -> Verifier:
    """Make the verification that asks nobody but the release and Envoy."""
    return HealthVerifier(HttpProber(), **options)


class FolderBundles:
    """Bundles from folders on this machine, by digest; satisfies `Bundles`."""

    def __init__(self, *folders: Path) -> None:
        """Take bundle folders."""
        self._folders = folders

    def fetch(self, release: Release, folder: Path) -> None:
        """Copy the one whose digest the release names."""
        import shutil

        from ci.files import said_plainly, sha256

        for found in self._folders:
            if (found / "manifest.json").is_file() and sha256(found / "manifest.json") == release.bundle:
                with said_plainly(found):
                    shutil.copytree(found, folder, dirs_exist_ok=True)
                return
        raise BadInput(f"{release.name}: no folder holds the bundle sha256:{release.bundle[:12]}")


class HttpProber:
    """Satisfies `ci.rollout.health.Prober`."""

    def __init__(self, send: Callable[..., tuple[int, dict[str, str], bytes]] = ask) -> None:
        """Take what sends a request: this machine, or something that stands nearer to the servers."""
        self._send = send

    def example(self, arm: Arm) -> Any:
        """Read the first example in the server's OpenAPI document."""
        with suppress(Unavailable, ValueError, KeyError, IndexError):
            _, _, raw = self._send(f"http://{arm.addresses[0]}/openapi.json")
            body = json.loads(raw)["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
            return next(iter(body["examples"].values()))["value"]
        return None

    def predict(self, door: str, row: Any, version: str) -> tuple[int, str]:
        """POST through the door, to one release."""
        try:
            status, headers, _ = self._send(
                f"{door}/predict", body=row, headers={"x-slipway-release": version}, timeout_s=10
            )
        except Unavailable:
            return 0, ""
        return status, headers.get("x-slipway-release", "")

    def counters(self, admin: str, cluster: str) -> tuple[int, int]:
        """Read Envoy's counters."""
        pattern = f"^cluster.{cluster}.(external.)?upstream_rq_(completed|5xx)"
        _, _, raw = self._send(f"{admin}/stats?filter={pattern}")
        found = dict(line.split(": ") for line in raw.decode().splitlines() if ": " in line)
        start = f"cluster.{cluster}.external.upstream_rq_"
        return int(found.get(start + "completed", 0)), int(found.get(start + "5xx", 0))


class ServiceProber(HttpProber):
    """Asks a service of Slipway's own whether it is ready: nothing is written into its store."""

    def example(self, arm: Arm) -> Any:
        """Return what is asked for, where the server answers at all."""
        with suppress(Unavailable):
            status, _, _ = self._send(f"http://{arm.addresses[0]}{_READY}")
            return _READY if status == 200 else None
        return None

    def predict(self, door: str, row: Any, version: str) -> tuple[int, str]:
        """GET that through the door, from one release."""
        try:
            status, headers, _ = self._send(f"{door}{row}", headers={"x-slipway-release": version}, timeout_s=10)
        except Unavailable:
            return 0, ""
        return status, headers.get("x-slipway-release", "")


def _blank(project: str, environment: Environment, seed: str) -> State:
    door = environment.ports.get(project) or free_port((), seed)
    return State(project=project, environment=environment.name, door=door, admin=free_port({("127.0.0.1", door)}, seed))


class RegistryBundles:
    """The release's data packaging, pulled by digest; satisfies `Bundles`."""

    def __init__(self, shared: Shared) -> None:
        """Take where the registry is; it is not asked before a bundle is wanted."""
        self._shared = shared

    def fetch(self, release: Release, folder: Path) -> None:
        """Pull it."""
        from ci.adapters import registry
        from ci.packaging import data

        packaged = release.packagings.get("data")
        if packaged is None:
            raise BadInput(f"{release.name}: has no data packaging", hint="package it with --kind data")
        data.pull(registry.found(self._shared.registry), packaged.repository, packaged.digest, folder)
