"""Tags: GTO reads what is in its grammar and nothing of what is not; what was written is read back."""

from __future__ import annotations

import json

import pytest
from gto.constants import Action
from gto.tag import parse_name
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.errors import BadInput
from ci.ledger.event import Draft, Event, Kind, drafted, spelled
from ci.ledger.tags import Tag, event_of, looks_like_ours, message_of, name_of, named
from tests.releases import SEEN, START, git_id, release

PROJECTS = st.from_regex(r"[a-z]([a-z0-9_]{0,8}[a-z0-9])?", fullmatch=True)
ENVIRONMENTS = st.from_regex(r"[a-z]([a-z0-9_-]{0,8}[a-z0-9])?", fullmatch=True)
VERSIONS = st.tuples(*[st.integers(0, 40)] * 3).map(lambda parts: ".".join(map(str, parts)))
PEOPLE = st.text(st.characters(exclude_categories=("C",), exclude_characters="<>"), min_size=1, max_size=20).filter(
    str.strip
)
REASONS = st.text(st.characters(exclude_categories=("C",)), max_size=60)
SOMEWHERE = {Kind.ASSIGNED, Kind.ABORTED, Kind.VERIFIED, Kind.APPROVED}


@st.composite
def events(draw):
    kind, project, version = draw(st.sampled_from(list(Kind))), draw(PROJECTS), draw(VERSIONS)
    record = release(version, project=project)
    more = {"environment": draw(ENVIRONMENTS)} if kind in SOMEWHERE else {}
    if kind is Kind.REGISTERED:
        more["record"] = record
    reason = draw(REASONS)
    draft = drafted(record, kind=kind, actor=draw(PEOPLE), reason=reason if reason.strip() else "why not", **more)
    number = draw(st.integers(1, 900))
    return Event(
        **{name: getattr(draft, name) for name in Draft.model_fields},
        number=number, previous=None if number == 1 else git_id("before"), commit=git_id("c"), at=spelled(START),
    )  # fmt: skip


def tag(event, **changes):
    return Tag(
        **{"name": name_of(event), "id": git_id("x"), "commit": event.commit, "message": message_of(event), **changes}
    )


@settings(deadline=None, max_examples=40)
@given(events())
def test_what_is_written_is_read_back(event):
    assert event_of(tag(event)) == event
    told = named(name_of(event))
    assert (told.project, told.kind) == (event.project, event.kind)
    assert looks_like_ours(name_of(event))


@settings(deadline=None, max_examples=40)
@given(events())
def test_gto_reads_registrations_and_assignments_and_nothing_else(event):
    read = parse_name(name_of(event), raise_on_fail=False)
    if event.kind is Kind.REGISTERED:
        assert (read["action"], read["name"], read["version"]) == (Action.REGISTER, event.project, f"v{event.version}")
    elif event.kind is Kind.ASSIGNED:
        assert (read["action"], read["name"], read["stage"]) == (Action.ASSIGN, event.project, event.environment)
        assert read["counter"] == event.number
    else:
        assert read == {}


@pytest.mark.parametrize("name", ["flights@v1.4", "flights@v1.4.0!", "flights@v1.4.0-rc1", "flights#production", "flights#production!#8", "flights@deprecated", "flights@v01.0.0", "flights@v1.0.0=bad", "flights#a#0"])  # fmt: skip
def test_what_others_write_there_is_not_ours_but_seen(name):
    assert named(name) is None
    assert looks_like_ours(name)


@pytest.mark.parametrize("name", ["v1.0.0", "flights@note", "flights", "Flights#production#1"])
def test_tags_on_the_side_are_nobodys_business(name):
    assert not looks_like_ours(name)


def an_event(**more):
    draft = drafted(
        release("1.0.0"), kind=Kind.ASSIGNED, environment="production", actor="ann", verified=True, evidence=SEEN
    )
    values = {name: getattr(draft, name) for name in Draft.model_fields}
    return Event(
        **{**values, "number": 2, "previous": git_id("1"), "commit": git_id("c"), "at": spelled(START), **more}
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commit": git_id("other")}, "moved: it points to"),
        ({"name": "flights#staging#2"}, "its message is about flights#production#2"),
        ({"annotated": False}, "no message: not written by the ledger"),
        ({"message": "promoted by hand"}, "its message is no event"),
        ({"message": message_of(an_event()).replace('"actor": "ann"', '"actor": ""')}, "edited by hand: actor"),
        ({"message": message_of(an_event()).replace('"number": 2,', '"number":  2,')}, "not as the ledger spells it"),
        ({"message": message_of(an_event()).replace('"verified": true', '"sure": true')}, "edited by hand: sure"),
    ],
)
def test_what_was_changed_by_hand_is_seen(changes, message):
    with pytest.raises(BadInput, match=message):
        event_of(tag(an_event(), **changes))


@pytest.mark.parametrize("environment", ["prod-", "prod_"])
def test_what_gto_could_not_read_is_refused(environment):
    with pytest.raises(BadInput, match="GTO cannot read it"):
        name_of(an_event(environment=environment))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": Kind.BAD}, "reason: missing"),
        ({"kind": Kind.ASSIGNED}, "environment: a release is assigned with exactly one"),
        ({"kind": Kind.BAD, "reason": "x", "environment": "production"}, "environment: a release is bad everywhere"),
        ({"kind": Kind.ASSIGNED, "environment": "production", "verified": True}, "verified: without evidence"),
        ({"kind": Kind.BAD, "reason": "a\x1b[2J"}, "reason: "),
        ({"kind": Kind.BAD, "reason": "x", "actor": "ann\nbob"}, "actor: "),
        ({"kind": Kind.BAD, "reason": "x", "actor": "ann <root>"}, "actor: "),
        ({"kind": Kind.REGISTERED, "record": release("2.0.0")}, "record: of another release"),
    ],
)
def test_what_no_event_may_say_is_bad_input(values, message):
    with pytest.raises(BadInput, match=message):
        drafted(release("1.0.0"), **{"actor": "ann", **values})


def test_the_first_line_is_for_people():
    line, _, body = message_of(an_event(how="rolled back", reason="errors\nrose", approver="bob")).partition("\n\n")
    assert line == "flights@v1.0.0 rolled back to production by ann, approved by bob: errors rose"
    assert json.loads(body)["environment"] == "production"
