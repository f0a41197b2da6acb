"""The desk at which releases of the collection service are made: its bundle, its smoke test, and two ways to package it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import registry, trials, wheels
from ci.adapters.advisers import HouseAdvisers
from ci.adapters.releasing import engine, furnished, vulnerable
from ci.collecting.contracts import document
from ci.errors import BadInput
from ci.files import write_json
from ci.packaging.ways import Data, Service
from ci.params import COLLECTOR
from ci.project import find
from ci.releasing import Desk, release
from ci.report import Result, finite, worst
from ci.services.bundle import ServiceBundle, make
from ci.services.image import COLLECTOR as IMAGE
from ci.services.image import LOCK, as_a_collector
from ci.services.sbom import bill
from ci.shared import shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.releasing import Request

KINDS = ("service", "data")
FOLDER = Path("artifacts", COLLECTOR)
VERDICT = Path("reports", COLLECTOR, "smoke.json")
_TRIED = "smoke test: the service starts, takes a record and refuses another"
_RUN = "a process environment runs it: steps.deploy --project collector ({uri})"


def package(asked: Request, say: Callable[[str], None]) -> Result:
    """
    Make the bundle (but where one is named), put it to its smoke test, and release it.

    Raises:
        BadInput: a contract that cannot be read, or a packaging that it does not have.
        NotPassed: it does not stand its smoke test.
        Unavailable: as `ci.releasing.release`.
    """
    wrong = [kind for kind in asked.asked if kind not in KINDS]
    if wrong:
        raise BadInput(f"--as: {wrong[0]}: {COLLECTOR} has no such packaging", hint=f"any of {','.join(KINDS)}")
    bundle = made(FOLDER) if asked.folder == FOLDER else ServiceBundle(asked.folder)
    if not asked.ungated:
        say(_TRIED)
        judge(bundle)
    return release(replace(asked, gate=VERDICT), desk(say, asked.ungated))


def gate(challenger: Path | None, say: Callable[[str], None], **of_models: object) -> Result:
    """
    Make the bundle (but where one is named), and put it to its smoke test.

    Raises:
        BadInput: a contract that cannot be read, or an option that only a model's gate has.
    """
    for option in (name for name, value in of_models.items() if value):
        raise BadInput(f"--{option}: {COLLECTOR} has none: its gate is its smoke test")
    bundle = ServiceBundle(challenger) if challenger else made(FOLDER)
    say(_TRIED)
    return judge(bundle)


def made(folder: Path) -> ServiceBundle:
    """
    Make the bundle of this checkout: its code, and the contracts of all projects.

    Raises:
        BadInput: no code, or a contract that cannot be read.
    """
    make([document(find(name)) for name in shared().projects], folder)
    return ServiceBundle(folder)


def judge(bundle: ServiceBundle) -> Result:
    """Write the verdict on which a release stands: for a service that is its smoke test, spelled as the gate spells its own."""
    checks = trials.tried(bundle)
    outcome = worst(checks)
    bad = next((check for check in checks if check.outcome.value == "rejected"), None)
    told = f"smoke test: {f'{bad.name}: {bad.message}' if bad else f'{len(checks)} checks'}"
    data = {"challenger": bundle.digest}
    verdict = {"schema_version": 1, "step": "smoke", "outcome": outcome.value, "message": told,
               "checks": [asdict(check) for check in checks], "data": data, "inputs": {}}  # fmt: skip
    write_json(VERDICT, finite(verdict))
    return Result(told, outcome, checks=checks, facts={"bundle": bundle.digest[:12]}, data=data)


def desk(say: Callable[[str], None], ungated: str | None) -> Desk:
    """
    Open the doors; Docker's, and the signing key's, only when somebody goes through.

    Raises:
        BadInput: params.yaml is wrong, a password's variable is not set, or there is no Git repository.
    """
    settings = shared()
    place, store = settings.registry, registry.found(settings.registry)
    ways = (
        Service(store, place, settings.image, engine(settings), wheels.fill, IMAGE, as_a_collector),
        Data(store, place, _RUN),
    )
    advisers = HouseAdvisers(
        store, settings.image, vulnerable(settings), LOCK, bill, code=()
    )  # its code is in the bundle
    return replace(furnished(settings, store, ways, advisers, say, ungated), opened=ServiceBundle)
