"""
What a target has to know of the servers that it runs: which program, with which settings, files and folders.

A target does not ask what kind of release it has. It takes one of these, and knows by itself where its files lie.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.files import said_plainly
from ci.services import CODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.params_environments import Environment
    from ci.params_services import Collector
    from ci.shared import Shared

DATA, SECRETS = "{data}", "{secrets}"


@dataclass(frozen=True, slots=True)
class Server:
    """
    One kind of server.

    In `settings`, {data} is the folder that outlives releases, {secrets} the one with the files of `secrets`. A secret
    that is None is not at hand on this agent: what the environment has of it is kept.
    """

    module: str
    option: str  # that names the bundle
    prefix: str  # of its environment variables
    code: str | None = None  # file of the bundle that has it; None: the copy of this checkout's `serving`
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes | None] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    keeps_data: bool = False
    memory_mb: int | None = None

    def variables(self, data: str, secrets: str) -> dict[str, str]:
        """Return its environment variables, given where the two folders are."""
        return {
            f"{self.prefix}{name}": value.replace(DATA, data).replace(SECRETS, secrets)
            for name, value in self.settings.items()
        }

    def lacking(self, name: str, place: str) -> BadInput:
        """Say that a secret is neither here nor with the environment."""
        return BadInput(f"{place}: has no {name} yet, and neither has this machine", hint=self.hints.get(name, ""))


def server_of(project: str, environment: Environment, shared: Shared) -> Server:
    """
    Describe the servers of a project, or of a service, in one environment.

    Raises:
        BadInput: a file with senders that cannot be read.
    """
    service = shared.services.of(project)
    return _model(environment) if service is None else _collector(service)


def _model(environment: Environment) -> Server:
    events = environment.events
    if events is None:
        return Server("serving", "--model", "SLIPWAY_SERVING_")
    settings = {"EVENTS_URL": events.url, "EVENTS_RATE": f"{events.rate:g}"}
    secrets: dict[str, bytes | None] = {}
    if events.token_env:
        settings["EVENTS_TOKEN_FILE"] = f"{SECRETS}/events-token"
        secrets["events-token"] = _secret(events.token_env)
    hints = {"events-token": f"set {events.token_env}, which `events` of {environment.name} in params.yaml names"}
    return Server("serving", "--model", "SLIPWAY_SERVING_", settings=settings, secrets=secrets, hints=hints)


def _collector(service: Collector) -> Server:
    settings = {
        "TOKENS": f"{SECRETS}/tokens", "WORK": f"{DATA}/parquet", "STORE": f"sqlite:///{DATA}/collector.db",
        "MAX_DISK_MB": str(service.max_disk_mb), "MIN_FREE_MB": str(service.min_free_mb),
        "KEEP_PREDICTIONS_DAYS": f"{service.keep_predictions_days:g}",
        "KEEP_QUARANTINE_DAYS": f"{service.keep_quarantine_days:g}",
    }  # fmt: skip
    secrets: dict[str, bytes | None] = {"tokens": _file(Path(os.environ.get("COLLECTOR_TOKENS") or service.tokens))}
    hints = {"tokens": f"COLLECTOR_TOKENS={service.tokens} python -m collector.tokens NAME send,read makes it"}
    for name, variable in (("STORE", service.store_env), ("HASH_KEY", service.hash_key_env)):
        if variable:
            file = name.lower().replace("_", "-")
            settings.pop(name, None)
            settings[f"{name}_FILE"] = f"{SECRETS}/{file}"
            secrets[file] = _secret(variable)
            hints[file] = f"set {variable}, which `services` in params.yaml names"
    return Server(
        "collector", "--bundle", "COLLECTOR_", CODE, settings, secrets, hints, keeps_data=True, memory_mb=service.memory_mb
    )  # fmt: skip


def _secret(variable: str) -> bytes | None:
    value = os.environ.get(variable, "").strip()
    return value.encode() if value else None


def _file(path: Path) -> bytes | None:
    if not path.exists():
        return None
    with said_plainly(path):
        raw = path.read_bytes()
    return raw if raw.strip() else None
