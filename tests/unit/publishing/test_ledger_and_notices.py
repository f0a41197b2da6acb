"""Data versions in the ledger's tags, and what others are told of data."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from gto.constants import Action
from gto.tag import parse_name
from pydantic import ValidationError

from ci.ledger.event import Draft, Event, Kind, drafted, spelled
from ci.ledger.tags import Tag, event_of, looks_like_ours, message_of, name_of, named
from ci.notices.notice import Notice, as_text, body
from tests.releases import START, git_id, release
from tests.unit.publishing.test_parts import version


def placed(draft):
    values = {name: getattr(draft, name) for name in Draft.model_fields}
    return Event(**values, number=1, commit=git_id("c"), at=spelled(START))


def of_data(record, /, **changes):
    values = {"kind": Kind.REGISTERED, "project": "shop-data", "version": record.version, "release": record.digest,
              "actor": "ann", "data": record}  # fmt: skip
    return Draft(**{**values, **changes})


def test_a_data_version_is_a_tag_that_gto_reads_and_we_read_back():
    event = placed(of_data(version("1.2.0")))
    read = parse_name(name_of(event))
    assert (read["action"], read["name"], read["version"]) == (Action.REGISTER, "shop-data", "v1.2.0")
    assert (named(name_of(event)).project, looks_like_ours(name_of(event))) == ("shop-data", True)
    assert event_of(Tag(name_of(event), git_id("x"), event.commit, message_of(event))) == event
    assert message_of(event).startswith("shop-data@v1.2.0 registered by ann\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"data": None},
        {"project": "shop"},
        {"version": "1.3.0"},
        {"release": "0" * 64},
        {"record": release("1.2.0", project="shop")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_record_belongs_to_exactly_its_own_event(changes):
    with pytest.raises(ValidationError):
        of_data(version("1.2.0"), **changes)


def test_what_was_signed_before_there_were_data_versions_stays_signed():
    record = release("1.0.0")
    event = placed(drafted(record, kind=Kind.REGISTERED, actor="ann", record=record))
    assert "data" not in event.signed_part()
    assert placed(of_data(version("1.2.0"))).signed_part()["data"]["version"] == "1.2.0"


def test_a_rejected_delivery_is_told_without_an_environment_and_with_its_rows():
    details = ["contract age at least 0: age is below 0 in 1 of 9 rows", "  such as id 7, age -1 <!channel> *b*"]
    notice = Notice(id="a" * 64, kind="data", project="shop", outcome="rejected", exit_code=3, message="not published",
                    details=details, at=datetime(2026, 11, 24, tzinfo=UTC))  # fmt: skip
    assert json.loads(body(notice, "json"))["details"] == details
    lines = as_text(notice).splitlines()
    assert lines[0] == "✗ *shop*: data rejected"
    assert lines[3] == "•   such as id 7, age -1 &lt;!channel&gt; *\u200bb*\u200b"
