"""What the ledger's events add up to: what was live when, why, and whether one may believe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.ledger.event import Event, Kind, moment_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ci.releases.record import Release

_ODD_S = 300


@dataclass(frozen=True)
class History:
    """A project's events, first to last, and all that speaks against them."""

    project: str
    events: Sequence[Event] = ()
    doubts: Sequence[str] = ()
    notes: Sequence[str] = ()
    tip: str | None = None

    def trusted(self) -> History:
        """
        Return it if nothing speaks against it.

        Raises:
            BadInput: something does; the message is the first doubt.
        """
        if self.doubts:
            more = f" (and {len(self.doubts) - 1} more)" if len(self.doubts) > 1 else ""
            raise BadInput(f"ledger of {self.project}: {self.doubts[0]}{more}",
                           hint="docs/reference/ledger.md says how to look into it; until then, nothing is promoted")  # fmt: skip
        return self

    def ahead_of(self, now: datetime) -> str | None:
        """Say if a clock is behind the last event by minutes: one of the two is wrong."""
        if not self.events:
            return None
        behind = (moment_of(self.events[-1].at) - now).total_seconds()
        return f"this machine's clock is {behind:,.0f} s behind the ledger's last event" if behind > _ODD_S else None

    def registered(self, version: str) -> Event | None:
        """Return the registration of a version."""
        found = (e for e in self.events if e.kind is Kind.REGISTERED and e.version == version)
        return next(found, None)

    def release(self, version: str) -> Release | None:
        """Return the record of a version."""
        found = self.registered(version)
        return found.record if found else None

    def versions(self) -> list[str]:
        """List the registered versions, highest last."""
        found = {e.version for e in self.events if e.kind is Kind.REGISTERED}
        return sorted(found, key=lambda version: [int(part) for part in version.split(".")])

    def assigned(self, environment: str) -> list[Event]:
        """List what became live in an environment, first to last."""
        return [e for e in self.events if e.kind is Kind.ASSIGNED and e.environment == environment]

    def live(self, environment: str) -> Event | None:
        """Return the event by which the live release became live; None if nothing was."""
        return next(reversed(self.assigned(environment)), None)

    def at(self, moment: datetime) -> History:
        """
        Return what was known at a moment (inclusive): whatever is asked of it, the answer was true then.

        What the ledger heard of late counts from when it happened, but never from before its release was registered, nor
        from before what it came after in its environment: a clock that was wrong puts nothing into another order.
        """
        known: list[Event] = []
        latest: dict[str | None, str] = {}
        born: dict[str, str] = {}
        for event in self.events:
            when = max(event.when, latest.get(event.environment, ""), born.get(event.version, ""))
            if event.kind is Kind.ASSIGNED:
                latest[event.environment] = when
            elif event.kind is Kind.REGISTERED:
                born.setdefault(event.version, when)
            if moment_of(when) <= moment:
                known.append(event)
        return History(self.project, known, self.doubts, self.notes)

    def bad(self, version: str) -> Event | None:
        """Return the mark that a release bears; None if it bears none, or a later event took it back."""
        marks = [e for e in self.events if e.version == version and e.kind in {Kind.BAD, Kind.GOOD}]
        return marks[-1] if marks and marks[-1].kind is Kind.BAD else None

    def looked(self, stay: Event) -> Event | None:
        """Return the event that says last how a release did during one stay in an environment; None if nobody looked."""
        found: Event | None = stay if stay.evidence else None
        for event in (e for e in self.events if e.number > stay.number and e.environment == stay.environment):
            if event.kind is Kind.ASSIGNED:
                break
            if event.kind is Kind.VERIFIED and event.version == stay.version:
                found = event
        return found

    def verified(self, stay: Event) -> Event | None:
        """Return the look that found a release well during one stay; None if the last look did not, or nobody looked."""
        last = self.looked(stay)
        return last if last and last.verified else None

    def last_known_good(self, environment: str, *, other_than: str | None = None) -> Event | None:
        """
        Return where to go back to: of what was live before and verified then, the last that bears no bad mark.

        `other_than` is what is to be left, by default what the ledger says is live.
        """
        stays = self.assigned(environment)
        leaving = other_than or (stays[-1].version if stays else None)
        for stay in reversed(stays):
            if stay.version != leaving and self.verified(stay) and not self.bad(stay.version):
                return stay
        return None

    def approvals(self, environment: str, release: str) -> list[Event]:
        """List who agreed that a release, by digest, enters an environment, first to last."""
        return [
            e for e in self.events if e.kind is Kind.APPROVED and (e.environment, e.release) == (environment, release)
        ]
