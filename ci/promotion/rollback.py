"""Back to a release that was well: traffic first, then the ledger, which need not even answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.ledger.event import Kind, drafted
from ci.promotion.checks import known, mark
from ci.promotion.promote import told_of
from ci.report import Check, Found, Result, deciding, worst

if TYPE_CHECKING:
    from ci.ledger.history import History
    from ci.ledger.interface import Ledger
    from ci.promotion.records import Records
    from ci.releases.record import Release
    from ci.rollout.interface import Actual, Running


@dataclass(frozen=True, slots=True)
class Retreat:
    """What whoever is on call asks for; without `version`, back to the last known good."""

    environment: str
    actor: str
    version: str | None = None
    reason: str = ""
    force: bool = False
    build: str | None = None


def roll_back(project: str, wish: Retreat, running: Running, records: Records, *, dry_run: bool = False) -> Result:
    """
    Move all traffic back, and remember it as soon as the ledger can be told; a rollout that is under way ends.

    Raises:
        BadInput: a version that there is not; a forced retreat without a reason.
        Unavailable: the environment does not answer.
    """
    if wish.force and not wish.reason:
        raise BadInput("--reason: missing: who forces something says why")
    history, heard = _as_far_as_known(records.ledger, project)
    actual = running.glance()
    between = _between(actual)
    version = wish.version or (actual.live if between else _good(history, wish, actual))
    if version is None:
        return _nowhere(history, wish, heard)
    release = known(history, version)
    checks = [*heard, *_checks(history, wish, version)]
    told = Result("", worst(checks), checks=checks, facts=_facts(wish, actual, release))
    if told.outcome is not Outcome.PASSED:
        check = deciding([item for item in checks if item.outcome is Found.REJECTED])
        return told.because(message=f"{release.name}: {check.message if check else 'no'}", hint="--force with a --reason goes there all the same")  # fmt: skip
    live = history.live(wish.environment)
    if actual.live == version and not between and (heard or (live and live.version == version)):
        return told.because(message=f"{release.name} is live in {wish.environment} already", data={"moved": False})
    if dry_run:
        return told.because(
            message=f"{wish.environment} would go back to {release.name}; nothing was moved (--dry-run)"
        )
    draft = drafted(
        release, kind=Kind.ASSIGNED, environment=wish.environment, actor=wish.actor, reason=wish.reason,
        build=wish.build, how="rolled back", former=actual.live if actual.live != version else None,
        packagings={name: item.digest for name, item in release.packagings.items()},
    )  # fmt: skip
    begun = records.begin(draft, must=False)
    try:
        moved = running.roll_back(release, wish.actor)
    except StepError:
        records.broke_off(begun, running.actual)
        raise
    record = records.end(begun, moved, None)
    return told_of(moved, told, record, f"{wish.environment} is back at {release.name}")


def _facts(wish: Retreat, actual: Actual, release: Release) -> dict[str, str]:
    return {"in": wish.environment, "from": actual.live or "nothing", "to": release.name}


def _as_far_as_known(ledger: Ledger, project: str) -> tuple[History, list[Check]]:
    """Read the ledger; at night, what this clone remembers of it must do, and so must one that somebody spoilt."""
    try:
        history, heard = ledger.history(project), []
    except Unavailable as error:
        history = ledger.history(project, offline=True)
        heard = [Check("ledger", Found.WARNED, f"{error}: decided by what this clone knows of it")]
    if history.doubts:
        heard.append(Check("ledger", Found.WARNED, f"not to be trusted, look into it tomorrow: {history.doubts[0]}"))
    return history, heard


def _between(actual: Actual) -> bool:
    """Say whether a rollout is under way: then the way back is to what is live, and ends the rollout."""
    return actual.live is not None and (
        actual.held_by is not None or any(share for version, share in actual.weights.items() if version != actual.live)
    )


def _good(history: History, wish: Retreat, actual: Actual) -> str | None:
    stay = history.last_known_good(wish.environment, other_than=actual.live)
    return stay.version if stay else None


def _nowhere(history: History, wish: Retreat, heard: list[Check]) -> Result:
    stays = [event.version for event in history.assigned(wish.environment)]
    seen = ", ".join(f"v{version}" for version in dict.fromkeys(reversed(stays)))
    check = Check("last known good", Found.REJECTED, "nothing else was live, verified and not marked bad")
    hint = f"--to names one all the same; there were {seen}" if seen else "nothing was ever live here"
    return Result(f"{wish.environment}: {check.message}", Outcome.REJECTED, hint, checks=[*heard, check])


def _checks(history: History, wish: Retreat, version: str) -> list[Check]:
    found = mark(history, version)
    if found.outcome is Found.REJECTED and wish.force:
        found = Check(found.name, Found.WARNED, f"{found.message}; forced: {wish.reason}")
    stays = [event for event in history.assigned(wish.environment) if event.version == version]
    if not stays:
        outcome = Found.WARNED if wish.force else Found.REJECTED
        return [found, Check("was here", outcome, f"never was live in {wish.environment}: that is no way back")]
    last = stays[-1]
    if history.verified(last):
        return [found, Check("was here", Found.PASSED, f"live from {last.when} on, and verified")]
    return [found, Check("was here", Found.WARNED, f"live from {last.when} on, but never verified")]
