"""What is not as it is meant to be, in words; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.rollout import router as documents
from ci.rollout.converge import routes
from ci.rollout.state import cluster_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.rollout.state import State
    from ci.rollout.targets import Router, Target


def drift(state: State, target: Target, router: Router) -> list[str]:
    """List servers that are missing, not ready or nobody's, and whether the router has other weights than intended."""
    found = [*_servers(state, target)]
    if not state.fleets:
        return found
    holds = router.holds()
    if holds is None:
        return [*found, "router: down"]
    for version in state.serving():
        healthy, wanted = router.healthy(cluster_of(state.project, version)), len(state.fleets[version].instances)
        if healthy < wanted:
            found.append(f"router: finds {healthy} of {wanted} servers of {version} healthy")
    if holds[1] != documents.version_of(documents.routes(routes(state))):
        found.append("router: other weights than intended")
    return found


def _servers(state: State, target: Target) -> Iterator[str]:
    seen = target.running()
    for fleet in state.fleets.values():
        for item in fleet.instances:
            if item.id not in seen or not seen[item.id].alive:
                yield f"{item.id}: does not run"
            elif not target.ready(fleet.release, item):
                yield f"{item.id}: not ready"
    known = {item.id for fleet in state.fleets.values() for item in [*fleet.instances, *fleet.leaving]}
    yield from (f"{name}: runs, but belongs to nothing" for name in sorted(set(seen) - known))
