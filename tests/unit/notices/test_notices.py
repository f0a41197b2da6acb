"""A notice as its receiver sees it, and its way there."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from ci.errors import Unavailable
from ci.notices.delivery import Letter, Post, flush, tell
from ci.notices.notice import SIGNATURE, TIMESTAMP, Notice, as_text, body, genuine, headers
from ci.params_notices import Notices
from ci.report import Found
from tests.releases import START, Clock


def notice(number=0, **changes):
    given = {"id": f"{number:064x}", "kind": "rollback", "project": "flights", "environment": "production", "at": START,
             "outcome": "rolled back", "exit_code": 6, "message": "errors 2 % against 0.1 %", "actor": "ann"}  # fmt: skip
    return Notice(**{**given, **changes})


def test_the_signature_is_hmac_sha256_of_moment_and_body():
    raw = body(notice(), "json")
    given = headers(notice(), raw, "s3cret", START)
    wanted = hmac.new(b"s3cret", f"{int(START.timestamp())}.".encode() + raw, hashlib.sha256).hexdigest()
    assert given[SIGNATURE] == f"sha256={wanted}"
    assert json.loads(raw)["exit_code"] == 6
    assert SIGNATURE not in headers(notice(), raw, None, START)


def test_a_receiver_tells_what_is_genuine_and_fresh():
    raw = body(notice(), "json")
    given = headers(notice(), raw, "s3cret", START)
    assert genuine("s3cret", given, raw, START + timedelta(seconds=299))
    assert not genuine("s3cret", given, raw, START + timedelta(seconds=301))
    assert not genuine("s3cret", given, raw + b" ", START)
    assert not genuine("other", given, raw, START)
    assert not genuine("s3cret", {**given, TIMESTAMP: str(int(START.timestamp()) + 1)}, raw, START)
    assert not genuine("s3cret", {**given, TIMESTAMP: "soon"}, raw, START)
    assert not genuine("s3cret", {}, raw, START)


def test_slack_gets_a_text_in_which_nobody_is_called():
    text = as_text(notice(message="<!channel> a*b & c", build="https://ci.example.org/job/1/"))
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text
    assert "&amp; c" in text
    assert text.startswith("↩ *flights* in *production*: rollback rolled back")
    assert text.endswith("<https://ci.example.org/job/1/|build>")
    assert "javascript" not in as_text(notice(build="javascript:alert(1)"))


@dataclass
class Box:
    kept: dict = field(default_factory=dict)
    full: bool = False
    place: str = "the outbox"

    def put(self, letter):
        if self.full:
            raise Unavailable("no space left on the device")
        self.kept[letter.notice.id] = letter

    def drop(self, letter):
        self.kept.pop(letter.notice.id, None)

    def waiting(self):
        return [self.kept[key] for key in sorted(self.kept)]


@dataclass
class Receiver:
    down: bool = False
    got: list = field(default_factory=list)

    def __call__(self, sent):
        if self.down:
            raise Unavailable("hooks.example.org: does not answer")
        self.got.append(sent.id)


def post(box, receiver, clock, ticks=lambda: 0.0):
    return Post(box, receiver, clock, ticks, Notices())


def test_what_arrives_leaves_the_outbox():
    box, receiver = Box(), Receiver()
    check = tell(notice(), post(box, receiver, Clock()))
    assert (check.outcome, check.message, box.kept, receiver.got) == (Found.PASSED, "1 sent", {}, [notice().id])


def test_what_does_not_arrive_waits_and_goes_out_in_order_later():
    box, receiver, clock = Box(), Receiver(down=True), Clock()
    for number in range(3):
        check = tell(notice(number), post(box, receiver, clock))
    assert check.outcome is Found.WARNED
    assert "3 waiting in the outbox" in check.message
    assert box.kept[notice().id].tries == 1  # the others were not tried: the receiver is down
    receiver.down = False
    clock.go(hours=1)
    assert tell(notice(3), post(box, receiver, clock)).message == "4 sent"
    assert receiver.got == [notice(number).id for number in range(4)]


def test_waits_grow_and_are_kept_but_by_hand_all_are_tried():
    box, receiver, clock = Box(), Receiver(down=True), Clock()
    tell(notice(), post(box, receiver, clock))
    receiver.down = False
    assert flush(post(box, receiver, clock)).message.startswith("1 waiting")
    assert flush(post(box, receiver, clock), all_of_them=True).message == "1 sent"


def test_a_clock_that_was_wrong_keeps_nothing_for_ever():
    box, receiver = Box(), Receiver()
    box.put(Letter(notice=notice(), after=START + timedelta(days=900)))
    assert flush(post(box, receiver, Clock())).message == "1 sent"


def test_what_could_not_be_delivered_for_a_week_is_given_up_and_told():
    box, receiver, clock = Box(), Receiver(down=True), Clock()
    tell(notice(), post(box, receiver, clock))
    clock.go(days=8)
    check = flush(post(box, receiver, clock))
    assert (check.outcome, check.message, box.kept) == (Found.WARNED, "1 given up", {})


def test_time_is_bounded_however_many_wait():
    box, ticks = Box(), iter(range(0, 10_000, 5))
    for number in range(50):
        box.put(Letter(notice=notice(number), after=START))
    check = flush(post(box, Receiver(), Clock(), lambda: next(ticks)))
    assert "no time left after 15 s" in check.message
    assert check.n == 3


@pytest.mark.parametrize(("down", "said"), [(False, "delivered, but not kept"), (True, "neither kept")])
def test_a_full_disk_is_told(down, said):
    receiver = Receiver(down)
    check = tell(notice(), post(Box(full=True), receiver, Clock()))
    assert check.outcome is Found.WARNED
    assert said in check.message
