"""
From an accepted bundle to a release: each packaging built once, tried, pushed by digest, signed for, and registered.

The same bundle made by the same recipe is the same release. Nothing has a version's tag before the ledger has taken it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ci.errors import BadInput, Outcome, Unavailable
from ci.files import read_json, sha256_of
from ci.ledger.event import Kind
from ci.model.bundle import LINEAGE
from ci.model.bundles import Bundle
from ci.packaging import evidence, gated
from ci.packaging.provenance import LOCAL, Made
from ci.packaging.way import Order
from ci.releases.record import GateEvidence, Release
from ci.report import Check, Found, Result, Table, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ci.ledger.history import History
    from ci.ledger.interface import By, Ledger
    from ci.packaging.interface import Registry
    from ci.packaging.signing import Signer
    from ci.packaging.way import Product, Way
    from ci.releases.versions import Proposal


class Sealed(Protocol):
    """A verified bundle, of a model or of a service: what tells one release from another."""

    @property
    def digest(self) -> str:
        """Hex sha256 of its manifest."""

    @property
    def signature(self) -> Mapping[str, Any]:
        """What callers rely on."""

    @property
    def lineage(self) -> Mapping[str, Any]:
        """What it was made from."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for; `asked` names packagings, none of them means all that this machine can make."""

    project: str
    folder: Path
    gate: Path
    asked: Sequence[str] = ()
    version: str | None = None
    ungated: str | None = None
    dry_run: bool = False


class Advisers(Protocol):
    """What releasing asks of others about a bundle."""

    def version(self, history: History, bundle: Sealed, recipe: str) -> Proposal:
        """Propose the next version, by what changed since the last one."""

    def scan(self, folder: Path) -> Sequence[Check]:
        """Look for secrets and pickles in what goes in."""

    def sbom(self, order: Order) -> bytes:
        """List what the release consists of, as CycloneDX."""


@dataclass(frozen=True)
class Desk:
    """With what it is done; `signer` is asked for once there is something to sign, `opened` verifies a bundle."""

    ways: Sequence[Way]
    registry: Registry
    ledger: Ledger
    signer: Callable[[], Signer]
    advisers: Advisers
    by: By
    git_commit: str | None
    say: Callable[[str], None]
    opened: Callable[[Path], Sealed] = Bundle


@dataclass(frozen=True)
class Plan:
    """What this machine will make, by which recipes, and what it cannot."""

    recipes: Mapping[str, str]
    cannot: Mapping[str, Unavailable]

    @property
    def recipe(self) -> str:
        """Hex digest over all that will be made."""
        return sha256_of(dict(self.recipes))

    def checks(self) -> list[Check]:
        """Say what will be missing, and what would help."""
        return [
            Check(kind, Found.SKIPPED, f"{error}{f'; {error.hint}' if error.hint else ''}")
            for kind, error in self.cannot.items()
        ]


def release(request: Request, desk: Desk) -> Result:
    """
    Make a release, or find the one that there is.

    Raises:
        BadInput: no sealed bundle, not judged, or the version belongs to another release.
        NotPassed: the gate said no.
        Unavailable: what was asked for cannot be made here, or registry or ledger do not answer.
    """
    bundle = desk.opened(request.folder)
    verdict = None if request.ungated else gated.evidence(request.gate, bundle.digest)
    plan = planned(desk.ways, request.asked)
    history = desk.ledger.history(request.project)
    former = same(history, bundle.digest, plan.recipe)
    if former:
        return _already(former, plan, desk)
    version, why = request.version or "", "as --version says"
    if not version:
        proposal = desk.advisers.version(history, bundle, plan.recipe)
        version, why = proposal.version, proposal.why
    if history.registered(version):
        raise BadInput(f"{request.project}@v{version}: is another release already", hint="leave --version out")
    order = Order(request.project, version, request.folder, bundle.digest, plan.recipe, desk.git_commit)
    found = list(desk.advisers.scan(request.folder))
    if worst(found) is not Outcome.PASSED:
        return Result(f"{request.folder}: not released: {_worst_word(found)}", Outcome.REJECTED, checks=found)
    if request.dry_run:
        return Result(f"would release {request.project}@v{version} as {', '.join(plan.recipes)}; nothing was built",
                      checks=[*found, *plan.checks()], facts={**_facts(order, verdict), "why this version": why})  # fmt: skip
    desk.say(f"{request.project}@v{version}: {why}")
    return _released(order, verdict, plan, desk, found)


def planned(ways: Sequence[Way], asked: Sequence[str]) -> Plan:
    """
    Find out what can be made here.

    Raises:
        Unavailable: not something that was asked for by name, or nothing at all.
    """
    recipes, cannot = {}, {}
    for way in ways:
        if asked and way.kind not in asked:
            continue
        try:
            recipes[str(way.kind)] = way.recipe()
        except Unavailable as error:
            cannot[str(way.kind)] = error
    if cannot and (asked or not recipes):
        kind, why = next(iter(cannot.items()))
        raise Unavailable(f"{kind}: cannot be made here: {why}", hint=why.hint) from why
    return Plan(recipes, cannot)


def same(history: History, bundle: str, recipe: str) -> Release | None:
    """Return the release that this bundle and recipe made before."""
    for event in history.events:
        record = event.record if event.kind is Kind.REGISTERED else None
        if record and (record.bundle, record.recipe) == (bundle, recipe):
            return record
    return None


def _released(order: Order, verdict: GateEvidence | None, plan: Plan, desk: Desk, found: list[Check]) -> Result:
    products: dict[str, Product] = {}
    for way in (way for way in desk.ways if way.kind in plan.recipes):
        desk.say(f"{way.kind}: building")
        products[way.kind] = way.make(order)
        checks = [*found, *(_named(kind, check) for kind, made in products.items() for check in made.checks)]
        if products[way.kind].packaged is None:
            return Result(f"{way.kind}: not released: {_worst_word(products[way.kind].checks)}", Outcome.REJECTED,
                          checks=checks, facts=_facts(order, verdict))  # fmt: skip
    record = _record(order, verdict, products, desk)
    desk.ledger.register(record, desk.by)
    for item in record.packagings.values():
        desk.registry.copy(item.repository, item.repository, item.digest, [order.version])
    missing = f"; not {' and '.join(plan.cannot)}" if plan.cannot else ""
    return Result(
        f"released {record.name} as {', '.join(products)}{missing}",
        checks=[*checks, *plan.checks()],
        facts={**_facts(order, verdict), "record": record.digest[:12], "registry": desk.registry.place},
        tables=_tables(record, products),
        outputs={path: digest for made in products.values() for path, digest in made.files.items()},
        data={"release": record.model_dump(mode="json"), "digest": record.digest},
    )


def _record(order: Order, verdict: GateEvidence | None, products: Mapping[str, Product], desk: Desk) -> Release:
    """Sign for what was pushed, and write it all down."""
    packagings: dict[Any, Any] = {kind: made.packaged for kind, made in products.items() if made.packaged}
    lineage, signer = read_json(order.folder / LINEAGE), desk.signer()
    made = Made(
        order.project, order.version, order.bundle, order.recipe, lineage, order.git_commit, desk.by.build or LOCAL
    )
    kept = evidence.publish(desk.registry, packagings, made, desk.advisers.sbom(order), signer)
    return Release(
        project=order.project,
        version=order.version,
        bundle=order.bundle,
        data_version=lineage["data"]["version"],
        recipe=order.recipe,
        git_commit=order.git_commit,
        gate=verdict,
        packagings=packagings,
        evidence=kept,
        key=signer.fingerprint,
    )


def _already(record: Release, plan: Plan, desk: Desk) -> Result:
    """Say which release it is, and whether the registry still has what it names."""
    gone = [kind for kind, item in record.packagings.items() if not desk.registry.resolve(item.repository, item.digest)]
    there = Check("registry", Found.WARNED if gone else Found.PASSED,
                  f"{desk.registry.place}: " + (f"{gone[0]} is not there any more" if gone else "has all of it"))  # fmt: skip
    return Result(
        f"already released as {record.name}: the same bundle, made the same way",
        checks=[there, *plan.checks()],
        facts={"bundle": record.bundle[:12], "recipe": record.recipe[:12], "record": record.digest[:12]},
        tables=_tables(record, {}),
        data={"release": record.model_dump(mode="json"), "digest": record.digest},
    )


def _named(kind: str, check: Check) -> Check:
    from dataclasses import replace

    return check if check.name.startswith(kind) else replace(check, name=f"{kind}: {check.name}")


def _worst_word(checks: Sequence[Check]) -> str:
    bad = next(check for check in checks if check.outcome is Found.REJECTED)
    return f"{bad.name}: {bad.message}"


def _facts(order: Order, verdict: GateEvidence | None) -> dict[str, str]:
    judged = f"passed, report {verdict.report[:12]}" if verdict else "not judged: this release is never promoted"
    return {"version": order.version, "bundle": order.bundle[:12], "recipe": order.recipe[:12], "gate": judged}


def _tables(record: Release, products: Mapping[str, Product]) -> list[Table]:
    rows = [[kind, item.repository, item.digest, item.size] for kind, item in record.packagings.items()]
    tables = [Table("Packagings", ["packaging", "repository", "digest", "bytes"], rows)]
    use = [[kind, line] for kind, made in products.items() for line in made.use]
    return [*tables, Table("How to use them", ["packaging", "command"], use)] if use else tables
