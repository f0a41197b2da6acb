"""What is asked before a release moves into an environment; nothing here moves anything."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.params import SERVICES
from ci.promotion.people import four_eyes
from ci.promotion.windows import windows
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ci.ledger.history import History
    from ci.params_environments import Environment
    from ci.promotion.interface import Signatures
    from ci.releases.record import Release


@dataclass(frozen=True, slots=True)
class Wish:
    """What a release manager asks for; `force` lets a release pass that a person forced through the gate."""

    version: str
    target: str
    actor: str
    reason: str = ""
    origin: str | None = None
    approver: str | None = None
    build: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """All checks, and who agreed."""

    checks: Sequence[Check]
    approver: str | None


def asked(wish: Wish, history: History, order: Sequence[Environment], signatures: Signatures, now: datetime) -> Judged:
    """
    Hold a wish against the ledger and the environment's rules.

    Raises:
        BadInput: an environment or a version that there is not.
        Unavailable: the registry, asked for the signature, does not answer.
    """
    place = place_of(wish.target, order)
    if history.doubts:
        return Judged([ledger(history)], None)
    release = known(history, wish.version)
    target = order[place]
    given = history.approvals(target.name, release.digest)
    eyes, approver = four_eyes(target.approvals, wish.actor, wish.approver, given, now)
    checks = [
        ledger(history),
        _signature(release, signatures),
        mark(history, wish.version),
        *_judged(history, release, wish, order[-1].name),
        *_order(history, wish, place, order),
        eyes,
        *windows(target, now),
    ]
    return Judged(checks, approver)


def place_of(name: str, order: Sequence[Environment]) -> int:
    """
    Return an environment's place in the promotion order.

    Raises:
        BadInput: there is none of this name.
    """
    names = [item.name for item in order]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none: add some to params.yaml'}"
        )
        raise BadInput(f"{name}: unknown environment", hint=hint)
    return names.index(name)


def known(history: History, version: str) -> Release:
    """
    Return a release's record.

    Raises:
        BadInput: nobody registered this version.
    """
    release = history.release(version)
    if release is None:
        versions = [f"v{item}" for item in history.versions()]
        hint = f"there are {', '.join(versions[-5:])}" if versions else "nothing was released yet"
        raise BadInput(f"{history.project}@v{version}: unknown version", hint=hint)
    return release


def ledger(history: History) -> Check:
    """Say whether the ledger can be believed."""
    if not history.doubts:
        return Check(
            "ledger", Found.PASSED, f"{_events(len(history.events))} in an unbroken chain", n=len(history.events)
        )
    more = f" (and {len(history.doubts) - 1} more)" if len(history.doubts) > 1 else ""
    return Check("ledger", Found.REJECTED, f"not to be trusted: {history.doubts[0]}{more}",
                 extra={"doubts": list(history.doubts)})  # fmt: skip


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


def mark(history: History, version: str) -> Check:
    """Say whether somebody marked a release bad."""
    bad = history.bad(version)
    if bad:
        return Check("mark", Found.REJECTED, f"{bad.name} was marked bad by {bad.actor} at {bad.when}: {bad.reason}")
    return Check("mark", Found.PASSED, "nobody marked it bad")


def champion(history: History, release: Release, last: str) -> Check:
    """Say whether the gate judged a release against what is live now in the last environment."""
    event = history.live(last)
    live = history.release(event.version) if event else None
    against = release.gate.champion if release.gate else None
    if live is None:
        return Check("champion", Found.PASSED, f"nothing is live in {last}: nobody to be judged against")
    if live.bundle == release.bundle:
        return Check("champion", Found.PASSED, f"the same bundle as {live.name}, which is live in {last}")
    if against == live.bundle:
        return Check("champion", Found.PASSED, f"judged against {live.name}, which is live in {last}")
    known = {item.bundle: item.name for v in history.versions() if (item := history.release(v))}
    rival = "no champion" if against is None else known.get(against, f"bundle {against[:12]}")
    return Check("champion", Found.REJECTED,
                 f"stale gate: judged against {rival}, but {live.name} is live in {last} now: run the gate again")  # fmt: skip


def _signature(release: Release, signatures: Signatures) -> Check:
    why = signatures.why_not(release)
    if why:
        return Check("signature", Found.REJECTED, f"{release.name}: {why}")
    return Check("signature", Found.PASSED, f"signed by {release.key[:12]}")


def _judged(history: History, release: Release, wish: Wish, last: str) -> list[Check]:
    """Say on what verdict a release stands: a model beat its champion, a service stood its smoke test."""
    if release.project not in SERVICES:
        return [_gate(release, wish), champion(history, release, last)]
    if release.gate is None:
        return [Check("smoke test", Found.REJECTED, f"{release.name} never stood its smoke test")]
    return [Check("smoke test", Found.PASSED, f"{release.gate.outcome} (report {release.gate.report[:12]})")]


def _gate(release: Release, wish: Wish) -> Check:
    gate = release.gate
    if gate is None:
        return Check("gate", Found.REJECTED, f"{release.name} was never judged by the gate")
    if gate.outcome == "passed":
        return Check("gate", Found.PASSED, f"passed (report {gate.report[:12]})")
    if wish.force and wish.reason:
        return Check("gate", Found.WARNED, f"{gate.outcome}, forced by {wish.actor}: {wish.reason}")
    return Check("gate", Found.REJECTED, f"{gate.outcome}: only --force with a --reason takes it further")


def _order(history: History, wish: Wish, place: int, order: Sequence[Environment]) -> list[Check]:
    below = order[place - 1].name if place else None
    if wish.origin is not None and wish.origin != below:
        place_of(wish.origin, order)
        way = f"the way to {wish.target} leads over {below}" if below else f"{wish.target} is the first environment"
        return [Check("order", Found.REJECTED, f"not from {wish.origin}: {way}")]
    if below is None:
        return [Check("order", Found.PASSED, f"{wish.target} is the first environment")]
    stay = history.live(below)
    if stay is None or stay.version != wish.version:
        there = f"{stay.name} is" if stay else "nothing is"
        return [Check("order", Found.REJECTED, f"v{wish.version} is not live in {below}: {there}")]
    live = Check("order", Found.PASSED, f"live in {below} since {stay.when}")
    look = history.looked(stay)
    if look is None:
        return [live, Check("verified below", Found.INCONCLUSIVE, f"nobody has verified it in {below} yet")]
    if not look.verified:
        return [
            live,
            Check(
                "verified below", Found.REJECTED, f"the last look at it in {below} ({look.when}) did not find it well"
            ),
        ]
    evidence = ", ".join(
        f"{name} {digest.removeprefix('sha256:')[:12]}" for name, digest in sorted(look.evidence.items())
    )
    return [
        live,
        Check(
            "verified below", Found.PASSED, f"verified in {below}: {evidence}", extra={"evidence": dict(look.evidence)}
        ),
    ]
