"""What `steps.deploy` is asked to deploy beside the ledger: a record in a file, or a bundle folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.files import read_json, said_plainly, sha256
from ci.params import SERVICES, parse
from ci.params_environments import strategy_like
from ci.releases.record import Packaged, Release

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.params_environments import Environment, Strategy
    from ci.shared import Shared

UNSIGNED = "unsigned"
_OF_SERVICES = ("blue_green", "rolling")


def environment(name: str, shared: Shared) -> Environment:
    """
    Find an environment by name.

    Raises:
        BadInput: there is none.
    """
    for item in shared.environments:
        if item.name == name:
            return item
    known = ", ".join(item.name for item in shared.environments) or "none"
    raise BadInput(f"--env: {name}: no such environment (params.yaml has {known})")


def strategy(project: str, shared: Shared, environment: str, kind: str | None) -> Strategy | None:
    """
    Return a strategy of another kind than the environment's; None where it is the same, or none was asked for.

    Raises:
        BadInput: one that compares answers, of a service that has none to compare.
    """
    if kind is not None and project in SERVICES and kind not in _OF_SERVICES:
        raise BadInput(f"--strategy: {kind}: {project} is a service, whose answers cannot be compared",
                       hint=f"one of {', '.join(_OF_SERVICES)}")  # fmt: skip
    return strategy_like(shared.of(project).environments, environment, kind)


def trial(
    project: str, place: Environment, name: str | None, record: Path | None, bundles: Sequence[Path], shared: Shared
) -> Release | None:
    """
    Return what is to be tried without the ledger: a record in a file, or a bundle; None if the ledger is meant.

    Raises:
        BadInput: nothing was named, it is of another project, or not the first environment's to try.
    """
    from ci.adapters.floors import version

    wanted = version(name, project) if name else None
    if not record and not bundles:
        if wanted is None:
            raise BadInput("--release: missing", hint="name one of the ledger, or --record FILE")
        return None
    if place.name != shared.environments[0].name:
        raise BadInput(f"--env: {place.name}: takes releases of the ledger only",
                       hint=f"--record and --bundle are for {shared.environments[0].name}")  # fmt: skip
    if record:
        found = parse(Release, read_json(record), str(record))
    elif wanted is None:
        raise BadInput("--release: missing", hint="a bundle needs a name, such as v0.1.0")
    else:
        found = _unsigned(project, wanted, bundles[0])
    if found.project != project or (wanted and found.version != wanted):
        raise BadInput(f"{found.name}: is not {project}@v{wanted or found.version}")
    return found


def _unsigned(project: str, version: str, bundle: Path) -> Release:
    """Make a record of a bundle that nobody packaged; `steps.promote` never takes it."""
    manifest = bundle / "manifest.json"
    with said_plainly(bundle):
        size = sum(path.stat().st_size for path in bundle.iterdir())
    digest = sha256(manifest)
    return Release(
        project=project, version=version, bundle=digest, data_version=UNSIGNED, recipe="0" * 64, git_commit=None,
        gate=None, key=UNSIGNED,
        packagings={"data": Packaged(repository=f"local/{project}", digest=f"sha256:{digest}", size=size)},
    )  # fmt: skip
