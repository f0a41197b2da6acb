"""The image of the collection service in a Docker environment of its own, for tests: the real engine, names apart."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from ci.adapters import environments, registry
from ci.adapters.containers import PLACE, Containers
from ci.adapters.engine import Docker
from ci.adapters.wheels import fill
from ci.model.bundle import digest
from ci.packaging.way import Order, Product
from ci.packaging.ways import Service
from ci.params_environments import Environment
from ci.params_packaging import Image, Registry
from ci.services.image import COLLECTOR, as_a_collector
from ci.shared import Shared
from tests.e2e.collectors import Place

ROOT = Path(__file__).resolve().parents[1]


_MADE: dict[tuple[str, str, str], Product] = {}


def product_of(layout: str, base: str, bundle: Path) -> Product:
    """Build, try and store the image of a bundle, as `steps.package` does; once for a process."""
    key = (layout, base, digest(bundle))
    if key not in _MADE:
        _MADE[key] = _made(layout, base, bundle)
    return _MADE[key]


def _made(layout: str, base: str, bundle: Path) -> Product:
    place = Registry(layout=layout)
    params = Image(base=base, wheelhouse=str(ROOT / Image().wheelhouse))
    way = Service(registry.found(place), place, params, Docker, fill, COLLECTOR, as_a_collector)
    version = bundle.name.removeprefix("bundle-")
    return way.make(Order("collector", version, bundle, digest(bundle), way.recipe()))


class ContainerPlace(Place):
    """One environment of an engine; `sweep` leaves nothing behind."""

    def __init__(self, folder: Path, layout: Path, base: str) -> None:
        self.layout, self.base_image, self.prefix = layout, base, f"test-{secrets.token_hex(4)}"
        self.base, self.engine = f"{self.prefix}-collector-staging", Containers(120)
        super().__init__(folder)

    @property
    def shared(self) -> Shared:
        places = {"registry": Registry(layout=str(self.layout)), "image": Image(base=self.base_image)}
        return super().shared.model_copy(update=places)

    @property
    def environment(self) -> Environment:
        target: Any = {"kind": "docker", "prefix": self.prefix}
        return self.shared.seen("collector", Environment(name="staging", target=target, lease_s=5))

    def open(self) -> Any:
        return environments.running("collector", self.environment, self.shared)

    def product(self, version: str) -> Product:
        return product_of(str(self.layout), self.base_image, self.bundles[version])

    def release(self, version: str) -> Any:
        return super().release(version).model_copy(update={"packagings": {"service": self.product(version).packaged}})

    def servers(self) -> list[str]:
        found = self.engine.listed({PLACE: self.base, "io.slipway.role": "server"})
        return sorted(item["Names"][0].lstrip("/") for item in found)

    def sweep(self) -> None:
        for item in self.engine.listed({PLACE: self.base}):
            self.engine.discard(item["Id"])
        for kind in ("state", "router", "data", "secrets"):
            self.engine.drop_volume(f"{self.base}-{kind}")
        self.engine.drop_network(self.base)
        for tag in self.engine.named_images(self.base):
            self.engine.remove(tag)
