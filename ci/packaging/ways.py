"""The three ways: an image that serves, a wheel that is embedded, data that running servers pull."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from ci.errors import Outcome, Unavailable
from ci.files import read_json, sha256, sha256_of, write_bytes
from ci.packaging import archive, data, image, wheel, wheelhouse
from ci.packaging.interface import MANIFEST, WHEEL
from ci.packaging.oci import EMPTY_BLOB, TITLE, artifact, descriptor, parts
from ci.packaging.smoke import smoke
from ci.packaging.way import Order, Product
from ci.releases.record import Packaged
from ci.report import worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ci.packaging.engine import Engine, Found
    from ci.packaging.interface import Registry
    from ci.params_packaging import Image
    from ci.params_packaging import Registry as Place
    from ci.releases.record import Packaging
    from ci.report import Check

DIST = Path("dist")


class Fill(Protocol):
    """Downloads what a wheelhouse lacks."""

    def __call__(self, lock: Path, folder: Path, target: wheelhouse.Target) -> None:
        """Fill the folder, or raise Unavailable."""


class Tried(Protocol):
    """Holds a built image to what it is for."""

    def __call__(self, engine: Engine, built: Found, order: Order, labels: Mapping[str, str]) -> Iterable[Check]:
        """Yield what was found."""


def _as_a_model(engine: Engine, built: Found, order: Order, labels: Mapping[str, str]) -> Iterable[Check]:
    return smoke(engine, built, read_json(order.folder / "golden.json"), labels)


@dataclass(frozen=True)
class Embedded:
    """A wheel; `tried` installs it where nothing else is, and asks it for the golden rows."""

    registry: Registry
    place: Place
    tried: Callable[[Path, str, Path], Sequence[Check]]
    kind: ClassVar[Packaging] = "embedded"

    def recipe(self) -> str:
        """Digest of the code that the wheel carries."""
        return wheel.recipe()

    def make(self, order: Order) -> Product:
        """Write the wheel below dist/, try it, push it as an artifact."""
        raw = wheel.wheel(order.folder, order.project, order.version, order.bundle)
        path = DIST / wheel.name(order.project, order.version)
        write_bytes(path, raw)
        checks = self.tried(path, f"{order.project}_model", order.folder / "golden.json")
        if worst(checks) is not Outcome.PASSED:
            path.unlink()
            return Product(checks)
        repository = f"{self.place.namespace}/{order.project}-wheel"
        self.registry.push_blob(repository, EMPTY_BLOB)
        self.registry.push_blob(repository, raw)
        manifest = artifact(WHEEL, [descriptor("application/zip", raw, annotations={TITLE: path.name})], {})
        digest = self.registry.push_manifest(repository, manifest, MANIFEST)
        packaged = Packaged(repository=repository, digest=digest, size=parts(manifest, digest).size)
        return Product(checks, packaged, {str(path): sha256(path)}, [f"pip install {path}"])


@dataclass(frozen=True)
class Data:
    """The bundle itself, as an artifact."""

    registry: Registry
    place: Place
    run: str = "MODEL_URI={uri} python -m serving --trusted-keys FILE"
    kind: ClassVar[Packaging] = "data"

    def recipe(self) -> str:
        """The artifact is the bundle, and nothing beside it."""
        return sha256_of("data")

    def make(self, order: Order) -> Product:
        """Push the bundle."""
        packaged = data.push(self.registry, f"{self.place.namespace}/{order.project}-data", order.folder)
        return Product([], packaged, use=[self.run.format(uri=uri(self.place, packaged))])


@dataclass(frozen=True)
class Service:
    """
    An image with server and bundle; `connect` opens the engine only when it is needed.

    `of` says what images of this kind consist of, and `tried` holds a built one to what it is for.
    """

    registry: Registry
    place: Place
    params: Image
    connect: Callable[[], Engine]
    fill: Fill
    of: image.Kind = image.MODELS
    tried: Tried = _as_a_model
    kind: ClassVar[Packaging] = "service"

    @cached_property
    def _maker(self) -> image.Maker:
        return image.Maker(self.connect(), self.params, kind=self.of)

    @cached_property
    def wheels(self) -> Sequence[wheelhouse.Wheel]:
        """The dependencies' wheels, each checked against the lock."""
        target = wheelhouse.Target(self.params.python, self.params.platform)
        wanted, folder = wheelhouse.pins(self.of.lock, target), Path(self.params.wheelhouse)
        found, missing = wheelhouse.find(wanted, folder, target)
        if missing and not self.params.offline:
            self.fill(self.of.lock, folder, target)
            found, missing = wheelhouse.find(wanted, folder, target)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise Unavailable(f"{folder}: no wheel for {missing[0]}{more}, as {self.of.lock} names it",
                              hint="copy the folder from a machine with a network; docs/how-to/package-a-release.md")  # fmt: skip
        return found

    def recipe(self) -> str:
        """Digest of server, dependencies, base and settings; asks for the engine, because the base is known there."""
        base = self._maker.base()
        self.wheels  # noqa: B018  # missing wheels are to be known before anything is built
        return image.recipe(self.params, base, kind=self.of)

    def make(self, order: Order) -> Product:
        """Build both images, try the second, push it."""
        lineage = image.Lineage.of(
            order.folder, project=order.project, version=order.version, bundle=order.bundle, recipe=order.recipe,
            git_commit=order.git_commit,
        )  # fmt: skip
        engine = self._maker.engine
        built = self._maker.model(self._maker.runtime(self.wheels), order.folder, lineage)
        checks = list(self.tried(engine, built, order, lineage.labels()))
        if worst(checks) is not Outcome.PASSED:
            return Product(checks)
        packaged = self._pushed(engine, built.id, order)
        run = f"docker run --rm --read-only -p 127.0.0.1:8080:{self.params.port} "
        name = f"{host(self.place)}/{packaged.repository}@{packaged.digest}" if self.place.url else built.id
        return Product(checks, packaged, {"image id": built.id}, [run + name])

    def _pushed(self, engine: Engine, image_id: str, order: Order) -> Packaged:
        repository = f"{self.place.namespace}/{order.project}"
        if self.place.url is None:
            return archive.store(engine, image_id, self.registry, repository)
        digest = engine.push(image_id, f"{host(self.place)}/{repository}", f"bundle-{order.bundle[:12]}")
        manifest = self.registry.pull_manifest(repository, digest)
        return Packaged(repository=repository, digest=digest, size=parts(manifest.raw, digest).size)


def uri(place: Place, packaged: Packaged) -> str:
    """Name a bundle in the registry as servers take it."""
    name = f"{packaged.repository}@{packaged.digest}"
    if place.url is None:
        return f"oci-layout://{Path(place.layout).resolve()}:{name}"
    return f"oci{'+http' if place.url.startswith('http://') else ''}://{host(place)}/{name}"


def host(place: Place) -> str:
    """Name the registry as image names do: host and port; of a layout, its folder."""
    return place.url.split("://", 1)[1] if place.url else place.layout
