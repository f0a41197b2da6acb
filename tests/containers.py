"""A Docker environment of its own for tests: the real engine, a real image of the flights bundle, names apart."""

from __future__ import annotations

import json
import os
import secrets
import signal
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ci.adapters import environments, registry
from ci.adapters.containers import PLACE, Containers
from ci.adapters.engine import Docker
from ci.adapters.http import ask
from ci.adapters.targets.docker import DockerTarget, Images
from ci.adapters.targets.engine_state import EngineState
from ci.adapters.wanted import _unsigned as unsigned
from ci.adapters.wheels import fill
from ci.errors import StepError, Unavailable
from ci.files import sha256
from ci.packaging import archive, image, wheelhouse
from ci.params_environments import Environment, Strategy
from ci.params_packaging import Image, Registry
from ci.releases.record import Packaged, Release
from ci.shared import Shared

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "artifacts/flights"


def a_place(layout: Path, **settings: Any) -> DockerPlace:
    """Make one; skip with the reason where its image cannot be built."""
    from tests.integration.engines import base_image

    usable()
    place = DockerPlace(layout, base_image(), settings)
    try:
        place.release("1.0.0")
    except Unavailable as error:  # wheels that nobody downloaded, and no index
        pytest.skip(str(error))
    return place


@cache
def image_of(layout: str, base: str) -> Packaged:
    """Build the service image of the flights bundle, and store it in an OCI layout; once for a process."""
    engine, params = Docker(), Image(base=base)
    target, folder = wheelhouse.Target(params.python, params.platform), ROOT / params.wheelhouse
    found, missing = wheelhouse.find(wheelhouse.pins(ROOT / image.LOCK, target), folder, target)
    if missing:
        fill(ROOT / image.LOCK, folder, target)
        found, _ = wheelhouse.find(wheelhouse.pins(ROOT / image.LOCK, target), folder, target)
    maker = image.Maker(engine, params, ROOT)
    digest = sha256(BUNDLE / "manifest.json")
    lineage = image.Lineage.of(BUNDLE, project="flights", version="1.0.0", bundle=digest, recipe="b" * 64)
    built = maker.model(maker.runtime(found), BUNDLE, lineage)
    return archive.store(engine, built.id, registry.found(Registry(layout=layout)), "slipway/flights")


@dataclass
class DockerPlace:
    """One environment of an engine; `open` again and again, as agents do. `sweep` leaves nothing behind."""

    layout: Path
    base_image: str
    settings: dict[str, Any] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.base = f"{self.prefix}-flights-staging"
        self.shared = Shared(
            projects=["flights"], registry=Registry(layout=str(self.layout)), image=Image(base=self.base_image)
        )
        self.engine = Containers(120)

    @property
    def environment(self) -> Environment:
        target = {"kind": "docker", "prefix": self.prefix}
        return Environment(name="staging", **{"target": target, "lease_s": 5, **self.settings})  # type: ignore[arg-type] # pydantic reads dicts

    def open(self) -> Any:
        return environments.running("flights", self.environment, self.shared)

    def target(self) -> DockerTarget:
        images = Images(self.shared.registry)
        return DockerTarget(self.engine, self.base, self.environment.target, images)  # type: ignore[arg-type] # it is one of containers

    def store(self) -> EngineState:
        return EngineState(Containers(60), self.base, "flights in staging", silent_s=5)

    def verifier(self) -> Any:
        return environments.verifier("flights", self.environment, self.shared)

    def release(self, version: str) -> Release:
        packaged = image_of(str(self.layout), self.base_image)
        return unsigned("flights", version, BUNDLE).model_copy(update={"packagings": {"service": packaged}})

    def deploy(self, version: str, *, kind: str = "blue_green", who: str = "tests", **more: Any) -> Any:
        more.setdefault("steps", [{"weight": 10, "pause_s": 0.2}, {"weight": 50, "pause_s": 0.2}])
        return self.open().roll_out(self.release(version), Strategy(kind=kind, **more), self.verifier(), who)  # type: ignore[arg-type] # pydantic reads the text

    def answer(self, **headers: str) -> tuple[int, str]:
        row = json.loads((BUNDLE / "golden.json").read_text())["rows"][0]
        status, found, _ = ask(f"{self.open().actual().door}/predict", body=row, headers=headers)
        return status, found.get("x-slipway-release", "").split(";")[0]

    def kill(self, name: str) -> None:
        """SIGKILL the process of a container, so that the engine sees it end by itself."""
        found = self.engine.find(name)
        assert found
        os.kill(int(found["State"]["Pid"]), signal.SIGKILL)

    def names(self) -> list[str]:
        """Return the containers that there are."""
        return sorted(item["Names"][0].lstrip("/") for item in self.engine.listed({PLACE: self.base}))

    def sweep(self) -> None:
        """Remove what was made below this prefix, and nothing else."""
        swept(self.base)


def swept(base: str) -> None:
    """Remove what an engine holds of one environment, and nothing else."""
    engine = Containers(120)
    for item in engine.listed({PLACE: base}):
        engine.discard(item["Id"])
    for volume in (f"{base}-state", f"{base}-router"):
        engine.drop_volume(volume)
    engine.drop_network(base)
    for tag in engine.named_images(base):
        engine.remove(tag)


def usable() -> None:
    """Skip where there is no bundle, or no Envoy to put into an image."""
    from ci.adapters.envoy import binary

    if not (BUNDLE / "manifest.json").is_file():
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except StepError as error:
        pytest.skip(str(error))
