"""
How a movement of traffic gets into the ledger, whatever dies on the way.

Before anything moves, the intent is kept with the environment; how it ended, too; then the ledger is told, and what was
kept is dropped. What is left over is settled by whoever comes next: by looking at what runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ci.errors import Outcome, StepError
from ci.files import sha256_of
from ci.ledger.event import Draft, Event, Kind, spelled
from ci.ledger.interface import Quicker
from ci.promotion.interface import Waiting
from ci.report import Check, Found, finite, worst

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ci.ledger.history import History
    from ci.ledger.interface import Ledger
    from ci.promotion.interface import Queue
    from ci.rollout.interface import Actual, Moved


@dataclass(frozen=True)
class Records:
    """Where movements are remembered."""

    ledger: Ledger
    queue: Queue
    clock: Callable[[], datetime]

    def begin(self, draft: Draft, *, must: bool = True) -> Waiting:
        """
        Keep an intent; unless it `must` be kept, a full disk stops nobody.

        Raises:
            StepError: it could not be kept, and must.
        """
        waiting = Waiting(f"{self.clock():%Y%m%dT%H%M%S%f}", draft, ended=False)
        try:
            self.queue.put(waiting)
        except StepError:
            if must:
                raise
        return waiting

    def end(self, begun: Waiting, moved: Moved, seen: History | None) -> Check:
        """
        Tell the ledger how it ended; where it does not answer, keep that for later and say so.

        Raises:
            Quicker: somebody else has changed what is live meanwhile.
        """
        draft = how_it_ended(begun.draft, moved, self.clock())
        if draft is None:
            self.queue.drop(begun.key)
            return Check("record", Found.PASSED, "held: nothing to remember until it ends")
        ended = Waiting(begun.key, draft, ended=True)
        try:
            self.queue.put(ended)
        except StepError as error:
            return self._told(ended, seen, f"and not kept with the environment either ({error})")
        return self._in_turn(ended, seen)

    def broke_off(self, begun: Waiting, actual: Callable[[], Actual]) -> None:
        """Forget an intent that was refused before anything moved; keep one that has traffic: `settle` tells its end."""
        try:
            moving = begun.draft.version in actual().weights
        except StepError:  # nobody can say yet
            moving = True
        if not moving:
            self.queue.drop(begun.key)

    def _in_turn(self, ended: Waiting, seen: History | None) -> Check:
        """Tell the ledger of older events first: the last one in the ledger is what is live."""
        for older in self._older(ended):
            seen = None
            check = self._told(older, None, f"it waits in {self.queue.place}")
            if check.outcome is Found.WARNED:
                return check
        return self._told(ended, seen, f"it waits in {self.queue.place}")

    def _older(self, newer: Waiting) -> list[Waiting]:
        """List what must be told before; intents whose runner vanished ended when this movement took their place."""
        try:
            older = [item for item in self.queue.waiting() if item.key < newer.key]
            for item in older:
                if not item.ended and item.draft.version == newer.draft.version:
                    self.queue.drop(item.key)  # it was this movement that went on with it
        except StepError:  # a spoilt file stops no rollback; steps.reconcile names it
            return []
        return [
            item if item.ended else _aborted(item) for item in older
            if item.ended or item.draft.version != newer.draft.version
        ]  # fmt: skip

    def _told(self, ended: Waiting, seen: History | None, otherwise: str) -> Check:
        try:
            event = self._heard(ended.draft) or self.ledger.add(ended.draft, seen)
        except Quicker:
            self.queue.drop(ended.key)
            raise
        except StepError as error:
            return Check("record", Found.WARNED,
                         f"not in the ledger yet: {error}; {otherwise}: `python -m steps.reconcile` adds it")  # fmt: skip
        self.queue.drop(ended.key)
        return Check("record", Found.PASSED, f"event {event.number} of the ledger ({self.ledger.place})")

    def _heard(self, draft: Draft) -> Event | None:
        """Return the very event, if the ledger has it: its writer may have died before it forgot it here."""
        if draft.happened is None:
            return None
        wanted = _identity(draft)
        return next((event for event in self.ledger.history(draft.project).events if _identity(event) == wanted), None)

    def settle(self, actual: Callable[[], Actual]) -> list[Check]:
        """
        Tell the ledger what it has not heard of; of movements whose runner vanished, what runs tells the end.

        One whose rollout is still going on is left alone.
        """
        checks: list[Check] = []
        for waiting in self.queue.waiting():
            ended = waiting if waiting.ended else _settled(waiting, actual())
            if ended is None:
                checks.append(Check("record", Found.SKIPPED, f"{waiting.draft.name} is still on its way"))
                continue
            checks.append(self._told(ended, None, f"it waits in {self.queue.place}"))
            if checks[-1].outcome is Found.WARNED:
                break  # in order, or not at all
        return checks


def how_it_ended(draft: Draft, moved: Moved, now: datetime) -> Draft | None:
    """Turn an intent into what the ledger remembers; None for a rollout that is held and has not ended."""
    evidence = evidence_of(moved)
    seen = {"evidence": evidence, "former": moved.former, "happened": spelled(now)}
    if moved.outcome is Outcome.INCONCLUSIVE:
        return None
    if moved.outcome is Outcome.PASSED:
        return draft.model_copy(update={**seen, "verified": bool(evidence) and worst(moved.checks) is Outcome.PASSED})
    told = "".join(sign if sign.isprintable() else " " for sign in f"{moved.outcome}: {moved.message}")
    return draft.model_copy(update={**seen, "kind": Kind.ABORTED, "how": told[:500]})


def _settled(waiting: Waiting, actual: Actual) -> Waiting | None:
    if actual.held_by is not None:
        return None
    if actual.live == waiting.draft.version:
        draft = waiting.draft.model_copy(update={"how": f"{waiting.draft.how}, settled"})
    else:
        return _aborted(waiting)
    return Waiting(waiting.key, draft, ended=True)


def _aborted(waiting: Waiting) -> Waiting:
    draft = waiting.draft.model_copy(update={"kind": Kind.ABORTED, "how": "its runner vanished; settled"})
    return Waiting(waiting.key, draft, ended=True)


def evidence_of(moved: Moved) -> dict[str, str]:
    """Return what says that it was well: digests of stored files, else of the checks as the step's report has them."""
    given = {name: digest for name, digest in moved.evidence.items() if digest}
    if given or not moved.checks:
        return given
    return {"checks": sha256_of(finite([asdict(check) for check in moved.checks]))}


def _identity(told: Draft) -> tuple[object, ...]:
    """What two events of one environment cannot share, even within a second: there and back again has another `former`."""
    return told.kind, told.version, told.environment, told.happened, told.former, told.how, told.actor, told.reason
