"""
From tags to a history that can be believed, or to what speaks against it.

Each event names the object of the event before, and the project's head names the last one: nothing can be changed,
moved, taken out or put between without breaking a name that somebody else holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.ledger.event import Event, Kind, moment_of
from ci.ledger.history import History
from ci.ledger.tags import Tag, event_of, looks_like_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_MANY = 20


def history_of(
    project: str,
    tags: Iterable[Tag],
    head: str | None,
    *,
    known: Callable[[Event], str | None] = lambda _: None,
    doubts: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> History:
    """
    Put a project's tags in order and hold each against the others.

    `head` is the object that the project's head names. `known` says what speaks against an event's signature.
    """
    found, spoilt = _read([tag for tag in tags if looks_like_ours(tag.name)])
    ordered = sorted(found, key=lambda pair: pair[1].number)
    told = [*doubts, *spoilt, *_gaps(ordered, head), *_wrong([event for _, event in ordered])]
    told += [f"{tag.name}: {why}" for tag, event in ordered if (why := known(event))]
    return History(project, tuple(event for _, event in ordered), tuple(dict.fromkeys(told)), notes, head)


def _read(tags: Sequence[Tag]) -> tuple[list[tuple[Tag, Event]], list[str]]:
    found, spoilt = [], []
    for tag in tags:
        try:
            found.append((tag, event_of(tag)))
        except BadInput as error:
            spoilt.append(str(error))
    return found, spoilt


def _gaps(ordered: Sequence[tuple[Tag, Event]], head: str | None) -> list[str]:
    """Say where the chain is broken."""
    told: list[str] = []
    before: tuple[Tag, Event] | None = None
    for tag, event in ordered:
        expected = before[1].number + 1 if before else 1
        if event.number > expected:
            told.append(f"event {expected} is missing: its tag was deleted ({tag.name} is {event.number})")
        elif event.number < expected:
            told.append(f"{tag.name}: a second event {event.number}")
        elif event.previous != (before[0].id if before else None):
            told.append(f"{tag.name}: names another event {event.number - 1} than {before[0].name if before else 'none'}: one of them was replaced")  # fmt: skip
        before = (tag, event)
    last = before[0].id if before else None
    if head == last:
        return told[:_MANY]
    if head is None:
        told.append(f"the head is missing: nothing proves that {before[0].name if before else 'nothing'} is the last event")  # fmt: skip
    elif head in {tag.id for tag, _ in ordered}:
        told.append(f"{before[0].name if before else ''}: was put behind the head by somebody else than the ledger")
    else:
        told.append("the last event is missing or was replaced: the head names another one")
    return told[:_MANY]


def _wrong(events: Sequence[Event]) -> list[str]:
    """Say what contradicts what came before: time, commit, digest, a release that nobody registered."""
    told: list[str] = []
    registered: dict[str, Event] = {}
    for before, event in zip([None, *events], events, strict=False):
        if before and moment_of(event.at) <= moment_of(before.at):
            told.append(f"event {event.number}: not later than event {before.number}")
        if event.kind is Kind.REGISTERED:
            registered.setdefault(event.version, event)
            continue
        release = registered.get(event.version)
        if release is None:
            told.append(f"event {event.number}: {event.name} was not registered before")
        elif (release.commit, release.release) != (event.commit, event.release):
            told.append(f"event {event.number}: about another {event.name} than the registered one")
    return told[:_MANY]
