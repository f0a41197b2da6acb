"""The one place where a verification's doors are made: sources, clock, acceptance, evidence on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters.monitoring.acceptance import Acceptor
from ci.adapters.monitoring.exposition import Envoy, Pages
from ci.adapters.monitoring.jsonapi import JsonProvider
from ci.adapters.monitoring.prometheus import Prometheus
from ci.files import sha256, write_json
from ci.params_verification import Http, Verification
from ci.verification.verify import Looking, Verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ci.verification.interface import Provider

EVIDENCE = Path(".slipway", "evidence")


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def verifier(
    policy: Verification,
    say: Callable[[str], None],
    bundles: Sequence[Path] = (),
    keep_in: Path = EVIDENCE,
) -> Verify:
    """Make a verifier that asks whom the policy names."""
    accept = Acceptor(policy.acceptance, bundles)
    looking = Looking(
        lambda question: providers(policy, question.admin),
        SystemClock(),
        say,
        accept,
        lambda document: kept(document, keep_in),
    )
    return Verify(policy, looking)


def providers(policy: Verification, admin: str) -> dict[str, Provider]:
    """Make every source that can be asked."""
    found: dict[str, Provider] = {"servers": Pages(_quick(policy))}
    if admin:
        found["envoy"] = Envoy(_quick(policy), admin)
    if policy.prometheus.url:
        found["prometheus"] = Prometheus(policy.prometheus, policy.prometheus.url)
    if policy.json_api.url:
        found["json"] = JsonProvider(policy.json_api, policy.json_api.url)
    return found


def _quick(policy: Verification) -> Http:
    """Pages are asked each window: one that does not answer at once is left out of it."""
    return Http(timeout_s=min(2.0, policy.window_s), tries=1)


def kept(document: dict[str, Any], folder: Path) -> Mapping[str, str]:
    """Write evidence under its own digest, so that nobody replaces it; return the path and the digest."""
    beside = folder / "new.json"
    write_json(beside, document)
    digest = sha256(beside)
    path = folder / f"{digest[:16]}.json"
    beside.replace(path)
    return {path.as_posix(): digest}
