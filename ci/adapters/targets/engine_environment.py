"""Where the doors of a Docker environment are made: all that it is lies with the engine."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from ci.adapters import registry
from ci.adapters.containers import Containers
from ci.adapters.http import ask
from ci.adapters.targets.docker import DockerTarget, Images
from ci.adapters.targets.engine_state import EngineState
from ci.adapters.targets.envoy_container import ContainerRouter
from ci.adapters.targets.envoy_image import router_image
from ci.adapters.targets.servers import server_of
from ci.errors import Unavailable
from ci.rollout.engine import Environments
from ci.rollout.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.params_environments import DockerTarget as Settings
    from ci.params_environments import Environment
    from ci.shared import Shared

_PORTS = range(20_000, 30_000)


def opened(
    project: str, environment: Environment, settings: Settings, shared: Shared,
    *, say: Callable[[str], None] = lambda _text: None,
) -> Environments:  # fmt: skip
    """
    Open one project in one environment of an engine.

    Raises:
        Unavailable: no engine answers.
    """
    engine, base = _engine(settings, shared), _base(project, environment, settings)
    store = EngineState(engine, base, f"{project} in {environment.name}")
    first = cache(  # whatever was read last will do: its ports never change
        lambda: store.seen or store.read() or _blank(engine, base, project, environment)
    )
    target = DockerTarget(
        engine, base, settings, Images(shared.registry), server=server_of(project, environment, shared)
    )
    return Environments(environment, target, _router(engine, base, settings, shared, first), store, first, say)


def asker(
    project: str, environment: Environment, settings: Settings, shared: Shared
) -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Return what sends requests to servers and Envoy: this machine if it gets through, else Envoy's container."""
    near = (settings.host or os.environ.get("DOCKER_HOST") or "unix://").startswith("unix://")

    def send(url: str, **more: object) -> tuple[int, dict[str, str], bytes]:
        if near:
            with suppress(Unavailable):
                return ask(url, **more)  # type: ignore[arg-type]
        engine, base = _engine(settings, shared), _base(project, environment, settings)
        state = EngineState(engine, base, environment.name).read()
        if state is None:
            raise Unavailable(f"{project} in {environment.name}: nothing runs there")
        return _router(engine, base, settings, shared, lambda: state).ask(url, **more)  # type: ignore[arg-type]

    return send


def _engine(settings: Settings, shared: Shared) -> Containers:
    return Containers(shared.image.timeout_s, registry.login(shared.registry), settings.host)


def _base(project: str, environment: Environment, settings: Settings) -> str:
    return f"{settings.prefix}-{project}-{environment.name}"


def _router(
    engine: Containers, base: str, settings: Settings, shared: Shared, state: Callable[[], State]
) -> ContainerRouter:
    return ContainerRouter(engine, base, settings, state, partial(router_image, engine, shared.image))


def _blank(engine: Containers, base: str, project: str, environment: Environment) -> State:
    taken, draw = engine.published(), random.Random(base)  # noqa: S311 # two agents who look at once find the same
    free = (port for port in draw.sample(_PORTS, 2000) if port not in taken and not (engine.local and _answers(port)))
    door = environment.ports.get(project) or next(free)
    return State(
        project=project, environment=environment.name, door=door, admin=next(port for port in free if port != door)
    )


def _answers(port: int) -> bool:
    """Whether something of this machine listens on a port; a remote one tells only when Envoy is started."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return False
    return True
