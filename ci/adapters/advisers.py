"""What releasing asks about a bundle, answered by the house's own rooms: version, scan, bill of materials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.packaging import locks, scan, tars, vulnerabilities
from ci.packaging.image import LOCK, SERVING
from ci.packaging.oci import TITLE, parts
from ci.packaging.sbom import sbom
from ci.packaging.wheelhouse import Target, pins
from ci.releases.versions import Described, Proposal, propose
from ci.templating import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.ledger.history import History
    from ci.packaging.interface import Registry
    from ci.packaging.way import Order
    from ci.params_packaging import Image
    from ci.releases.record import Release
    from ci.releasing import Sealed
    from ci.report import Check

_LIMIT = 16 << 20  # bytes of a signature or lineage


@dataclass(frozen=True)
class HouseAdvisers:
    """
    `registry` has the bundles of former releases; `database` lists known vulnerabilities, None where there is none.

    `lock` names what the server consists of, `bill` draws the bill of materials. `code` are the folders of ours that go
    into packagings beside the bundle.
    """

    registry: Registry
    image: Image
    database: Path | None = None
    lock: Path = LOCK
    bill: Callable[[str, str, Path, str, Sequence[locks.Locked]], bytes] = sbom
    code: Sequence[Path] = (SERVING, TEMPLATES / "embedded")

    def version(self, history: History, bundle: Sealed, recipe: str) -> Proposal:
        """
        Propose a version by comparing the bundle with the last release's.

        Raises:
            BadInput: that one is not in the registry any more, so that nobody can say what changed.
        """
        new = Described(bundle.digest, recipe, bundle.signature, bundle.lineage)
        versions = history.versions()
        if not versions:
            return propose(new, None)
        last = max(versions, key=lambda version: tuple(int(part) for part in version.split(".")))
        record = history.release(last)
        if record is None:
            raise BadInput(
                f"{history.project}@v{last}: has no record in the ledger", hint="name the version: --version"
            )
        return propose(new, self._described(record), last)

    def scan(self, folder: Path) -> Sequence[Check]:
        """Look for secrets and pickles in what goes in, and for known vulnerabilities in what the server is locked to."""
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        ours = [(name, path) for place in self.code for name, path in tars.tree(place, place.name).items()]
        known, _ = vulnerabilities.look(self.database, self._locked())
        if not files:
            return [scan.check([], 0), known]  # code alone is no bundle
        looked = [*files.items(), *((name, path) for name, path in ours if isinstance(path, Path))]
        return [scan.check(scan.scan(looked), len(looked)), known]

    def sbom(self, order: Order) -> bytes:
        """List the model and the packages that its server is locked to."""
        return self.bill(order.project, order.version, order.folder, order.bundle, self._locked())

    def _locked(self) -> list[locks.Locked]:
        """Return the packages of the lock that are for the image's platform."""
        wanted = {(pin.name, pin.version) for pin in pins(self.lock, Target(self.image.python, self.image.platform))}
        return [
            item
            for item in locks.read(self.lock.read_text("utf-8"), str(self.lock))
            if (item.name, item.version) in wanted
        ]

    def _described(self, record: Release) -> Described:
        """Fetch what a former bundle says of itself."""
        packaged = record.packagings.get("data")
        if packaged is None or not self.registry.resolve(packaged.repository, packaged.digest):
            raise BadInput(f"{record.name}: its bundle is not in {self.registry.place}: nobody can say what changed",
                           hint="name the version: --version X.Y.Z")  # fmt: skip
        found = self.registry.pull_manifest(packaged.repository, packaged.digest)
        layers = parts(found.raw, record.name).document.get("layers", [])
        named = {layer["annotations"][TITLE]: layer["digest"] for layer in layers}
        signature, lineage = (
            self._json(packaged.repository, named[f"{name}.json"]) for name in ("signature", "lineage")
        )
        return Described(record.bundle, record.recipe, signature, lineage)

    def _json(self, repository: str, digest: str) -> Any:
        import json

        return json.loads(self.registry.pull_blob(repository, digest, _LIMIT))
