"""The desk at which releases are made: every door that packaging needs, opened as params.yaml says."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import floors, git, keys, people, registry, wheels
from ci.adapters.advisers import HouseAdvisers
from ci.adapters.engine import Docker
from ci.errors import BadInput
from ci.packaging.ways import Data, Embedded, Service
from ci.params import SERVICES
from ci.releasing import Desk, Request, release
from ci.shared import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.packaging.interface import Registry
    from ci.packaging.way import Way
    from ci.project import Project
    from ci.report import Result
    from ci.shared import Shared

KINDS = ("service", "embedded", "data")


def asked_for(text: str | None) -> tuple[str, ...]:
    """
    Read a list of packagings; empty means all that can be made.

    Raises:
        BadInput: one of them is unknown.
    """
    asked = tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    for kind in asked:
        if kind not in KINDS:
            raise BadInput(f"--as: {kind[:40]!r} is no packaging", hint=f"any of {','.join(KINDS)}")
    if text is not None and not asked:
        raise BadInput("--as: names no packaging", hint=f"any of {','.join(KINDS)}")
    return asked


def package(project: Project, asked: Request, say: Callable[[str], None]) -> Result:
    """
    Make a release of a model's bundle, or of a service, whose bundle is made first.

    Raises:
        BadInput, NotPassed, Unavailable: as `ci.releasing.release`.
    """
    if project.name in SERVICES:
        from ci.adapters import services

        return services.package(asked, say)
    return release(asked, desk(say, asked.ungated))


def desk(say: Callable[[str], None], ungated: str | None) -> Desk:
    """
    Open the doors; Docker's, and the signing key's, only when somebody goes through.

    Raises:
        BadInput: params.yaml is wrong, a password's variable is not set, or there is no Git repository.
    """
    settings = shared()
    place, store = settings.registry, registry.found(settings.registry)
    ways = (
        Service(store, place, settings.image, engine(settings), wheels.fill),
        Embedded(store, place, wheels.tried),
        Data(store, place),
    )
    return furnished(settings, store, ways, HouseAdvisers(store, settings.image, vulnerable(settings)), say, ungated)


def furnished(
    settings: Shared, store: Registry, ways: Sequence[Way], advisers: HouseAdvisers, say: Callable[[str], None],
    ungated: str | None,
) -> Desk:  # fmt: skip
    """Put ledger, signing key and the name of whoever asks on a desk."""
    return Desk(
        ways=ways,
        registry=store,
        ledger=floors.ledger(settings),
        signer=partial(keys.signer, settings.signing, say),
        advisers=advisers,
        by=people.by(None, f"ungated: {ungated}" if ungated else ""),
        git_commit=os.environ.get("GIT_COMMIT") or git.head(),
        say=say,
    )


def engine(settings: Shared) -> Callable[[], Docker]:
    """Return what connects to the engine, with the registry's password for pushes."""
    return partial(Docker, settings.image.timeout_s, registry.login(settings.registry))


def vulnerable(settings: Shared) -> Path | None:
    """Return where known vulnerabilities are listed, if they are."""
    return Path(settings.image.vulnerabilities) if settings.image.vulnerabilities else None
