"""Deployment: a release of the ledger is promoted, what the ledger does not know is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters import environments, floors, people, wanted
from ci.errors import BadInput
from ci.promotion.checks import Wish
from ci.promotion.promote import promote
from ci.rollout.telling import planned, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ci.params_environments import Environment
    from ci.report import Result
    from ci.shared import Shared


@dataclass(frozen=True)
class Order:
    """What `steps.deploy` was asked for."""

    environment: str
    release: str | None
    record: Path | None
    bundles: Sequence[Path]
    strategy: str | None
    by: str | None
    actor: str | None
    reason: str
    dry_run: bool


def deploy(project: str, order: Order, shared: Shared, say: Callable[[str], None]) -> Result:
    """
    Bring it in; from the ledger with all checks of a promotion, and remembered as one.

    Raises:
        BadInput: no such environment or release, a trial outside the first environment, or another judge for a release.
        Unavailable: ledger, registry or environment do not answer.
    """
    place = wanted.environment(order.environment, shared.of(project))
    found = wanted.trial(project, place, order.release, order.record, order.bundles, shared)
    strategy = wanted.strategy(project, shared, place.name, order.strategy)
    by = people.by(order.actor, order.reason)
    if found is None and order.by:
        raise BadInput("--by: releases of the ledger are judged as their environment says", hint="--by is for trials")
    if found is None:
        wish = Wish(floors.version(str(order.release), project), place.name, by.actor, by.reason, build=by.build)
        floor = floors.floor(project, place.name, shared, say=say)
        return promote(project, wish, floor, strategy=strategy, dry_run=order.dry_run)
    place = judged(place, order.by)
    folders = environments.FolderBundles(*order.bundles) if order.bundles else None
    running = environments.running(project, place, shared, bundles=folders, say=say)
    if order.dry_run:
        return planned(found, strategy or place.strategy, place, running.actual())
    verifier = environments.verifier(project, place, shared, say)
    return told(running.roll_out(found, strategy or place.strategy, verifier, by.actor), running.actual())


def judged(place: Environment, by: str | None) -> Environment:
    """Return an environment in which somebody else judges; itself where nobody else was named."""
    policy = place.verification.model_copy(update={"by": by or place.verification.by})
    return place.model_copy(update={"verification": policy})
