"""Answers are kept for whoever compares releases: those with the router's mark, a bounded number, and no others."""

from __future__ import annotations

import json

import pytest

from serving.shadow import Answers
from serving.wire import JSON, Call, Reply
from tests.unit.serving import bundles

MARK = "0a1b2c3d"


def asked(answers: Answers, mark: str = MARK, after: int = 0) -> list[dict]:
    return [json.loads(line) for line in answers.page(f"mark={mark}&after={after}".encode()).body.splitlines()]


def call(number: int, mark: str = MARK) -> Call:
    fields = [(b"x-request-id", b"id-%d" % number), (b"x-slipway-shadow", mark.encode())]
    return Call({"method": "POST", "path": "/predict", "headers": fields}, None)


def test_only_marked_answers_are_kept_as_they_were_sent(serve):
    async def scenario(service):
        plain = await service.predict(bundles.ROW, x_request_id="plain")
        marked = await service.predict(bundles.ROW, x_request_id="marked", x_slipway_shadow=MARK)
        refused = await service.predict({}, x_request_id="refused", x_slipway_shadow=MARK)
        assert plain.json["predictions"] == marked.json["predictions"], "the mark changes no answer"
        kept = asked(service.state.shadow)
        assert [(item["request_id"], item["status"]) for item in kept] == [("marked", 200), ("refused", 422)]
        assert [item["answer"] for item in kept] == [marked.json, refused.json]
        assert kept[0]["release"] == marked.headers["x-slipway-release"]
        assert asked(service.state.shadow, "ffffffff") == []
        assert [item["request_id"] for item in asked(service.state.shadow, after=1)] == ["refused"]

    serve(scenario)


def test_the_route_tells_them_and_refuses_other_questions(serve):
    async def scenario(service):
        await service.predict(bundles.ROW, x_request_id="marked", x_slipway_shadow=MARK)
        assert (await service.ask("GET", "/v2/shadow")).status == 400
        assert (await service.ask("POST", "/v2/shadow")).status == 405

    serve(scenario)


@pytest.mark.parametrize("mark", ["", "short", "far too long a mark"])
def test_what_is_no_mark_of_the_routers_is_passed_over(mark):
    assert call(1, mark).shadow == b""


def test_the_oldest_leave_by_number_and_by_size():
    few = Answers(most=3)
    for number in range(1, 6):
        few.note(call(number), Reply(200, JSON, b"{}"), None)
    assert [item["number"] for item in asked(few)] == [3, 4, 5]
    assert [item["number"] for item in asked(few, after=1)] == [3, 4, 5], "what left in between is passed over"
    assert [item["number"] for item in asked(few, after=4)] == [5]
    small = Answers(most_bytes=1000)
    for number in range(1, 6):
        small.note(call(number), Reply(200, JSON, b'"%s"' % (b"x" * 400)), None)
    assert [item["number"] for item in asked(small)] == [4, 5]


def test_of_a_long_or_binary_answer_only_the_status_is_kept():
    answers = Answers()
    answers.note(call(1), Reply(200, JSON, b'"%s"' % (b"x" * 9000)), None)
    answers.note(call(2), Reply(200, b"application/octet-stream", b"\0\1"), None)
    assert [(item["status"], item["answer"]) for item in asked(answers)] == [(200, None), (200, None)]


def test_a_page_has_an_end_and_the_next_one_goes_on():
    answers = Answers()
    for number in range(1, 1201):
        answers.note(call(number), Reply(200, JSON, b"{}"), None)
    found, after = [], 0
    while page := asked(answers, after=after):
        assert len(page) <= 500
        found += page
        after = page[-1]["number"]
    assert [item["request_id"] for item in found] == [f"id-{number}" for number in range(1, 1201)]
