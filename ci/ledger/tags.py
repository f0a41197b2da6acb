"""
How events are spelled as annotated tags.

`flights@v1.4.0` and `flights#production#7` are GTO's grammar, so that `gto show` and `gto history` read them. What GTO
has no word for is spelled so that it reads nothing: `flights@v1.4.0=bad#8` (docs/adr/0021-ledger-grammar.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from ci.errors import BadInput
from ci.files import to_json
from ci.ledger.event import Event, Kind

_OURS = "|".join(kind for kind in Kind if kind not in {Kind.REGISTERED, Kind.ASSIGNED})
_PROJECT = r"(?P<project>[a-z][a-z0-9_]{0,39}(?:-data)?)"
_VERSION = r"v(?P<version>(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))"
_TAG = re.compile(
    rf"{_PROJECT}(?:@{_VERSION}(?:=(?P<kind>{_OURS})#(?P<at>[1-9]\d*))?"
    r"|#(?P<environment>[a-z][a-z0-9_-]{0,39})#(?P<number>[1-9]\d*))",
    re.ASCII,
)
_READ_BY_GTO = re.compile(r"[a-z][a-z0-9_]*(-data)?(@(v\d|deprecated|created)|#)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a tag says."""

    project: str
    kind: Kind
    version: str | None = None
    environment: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as Git has it: the object's id, the commit that it leads to, the message; no object, no annotation."""

    name: str
    id: str
    commit: str
    message: str
    annotated: bool = True


def name_of(event: Event) -> str:
    """
    Spell the tag's name.

    Raises:
        BadInput: GTO could not read it.
    """
    ends = [word for word in (event.project, event.environment) if word and not word[-1].isalnum()]
    if ends:
        raise BadInput(f"{ends[0]}: ends in {ends[0][-1]!r}, which no tag of a ledger may: GTO cannot read it")
    if event.kind is Kind.REGISTERED:
        return event.name
    if event.kind is Kind.ASSIGNED:
        return f"{event.project}#{event.environment}#{event.number}"
    return f"{event.name}={event.kind}#{event.number}"


def named(name: str) -> Named | None:
    """Read the name of a tag; None if it is not in the ledger's grammar."""
    found = _TAG.fullmatch(name)
    if not found:
        return None
    if found["environment"]:
        return Named(found["project"], Kind.ASSIGNED, None, found["environment"], int(found["number"]))
    kind = Kind(found["kind"] or Kind.REGISTERED)
    return Named(found["project"], kind, found["version"], None, int(found["at"]) if found["at"] else None)


def looks_like_ours(name: str) -> bool:
    """Whether GTO would take the tag for a release's, or we do: somebody's own note on the side is not."""
    return bool(_READ_BY_GTO.match(name))


def message_of(event: Event) -> str:
    """Spell the tag's message: a line for people, and the event for programs."""
    return f"{event}\n\n{to_json(event.model_dump(mode='json', exclude_defaults=True))}"


@lru_cache(maxsize=4096)  # a pure function of what is frozen, asked anew with every look at a history
def event_of(tag: Tag) -> Event:
    """
    Read a tag back.

    Raises:
        BadInput: it was not written by this ledger, or changed by hand afterwards.
    """
    if not tag.annotated:
        raise BadInput(f"{tag.name}: no message: not written by the ledger")
    _, _, body = tag.message.partition("\n\n")
    try:
        event = Event.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{tag.name}: edited by hand: {where or 'body'}: {first['msg'][:160]}") from error
    except ValueError as error:
        raise BadInput(f"{tag.name}: its message is no event: not written by the ledger") from error
    if name_of(event) != tag.name:
        raise BadInput(f"{tag.name}: its message is about {name_of(event)}")
    if event.commit != tag.commit:
        raise BadInput(f"{tag.name}: moved: it points to {tag.commit[:10]}, its message to {event.commit[:10]}")
    if to_json(event.model_dump(mode="json", exclude_defaults=True)).strip() != body.strip():
        raise BadInput(f"{tag.name}: edited by hand: its message is not as the ledger spells it")
    return event
