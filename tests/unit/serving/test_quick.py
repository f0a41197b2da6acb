"""What goes the quick way, what does not, and what becomes of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from serving.quick import QuickWay
from tests.unit.serving import bundles

BODY = json.dumps(bundles.ROW).encode()
JSON = (b"content-type", b"application/json")


class Line:
    def __init__(self, *, there: bool = True) -> None:
        self.there, self.answers = there, []

    def finish(self, asked, reply, release, *, last):
        self.answers.append((asked, reply, release, last))
        return self.there


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def counted(service, outcome: str) -> int:
    return service.state.repository.live.telemetry.outcomes["predict", outcome]


@pytest.mark.parametrize(("headers", "taken"), [
    ([JSON], True), ([], True), ([JSON, (b"host", b"x"), (b"x-request-id", b"a-1"), (b"content-length", b"9")], True),
    ([(b"content-type", b"application/json; charset=utf-8")], False), ([JSON, (b"content-encoding", b"gzip")], False),
    ([JSON, (b"x-slipway-synthetic", b"1")], False), ([JSON, (b"x-slipway-shadow", b"12345678")], False),
    ([JSON, (b"expect", b"100-continue")], False), ([JSON, (b"authorization", b"Bearer x")], False),
    ([JSON, (b"inference-header-content-length", b"9")], False),
])  # fmt: skip
def test_only_what_asks_for_nothing_special_is_taken(serve, headers, taken):
    async def scenario(service):
        line = Line()
        asked = QuickWay(service.app).take(line, "predict", headers, BODY)
        assert (asked is not None) == taken
        assert service.state.scoring.active == int(taken)
        await turns()
        assert len(line.answers) == int(taken)
        assert service.state.scoring.active == 0
        assert counted(service, "ok") == int(taken)

    serve(scenario)


def test_a_server_that_is_full_leaving_or_empty_takes_nothing(serve):
    async def scenario(service):
        way, state = QuickWay(service.app), service.state
        state.scoring.active = state.settings.max_concurrency
        assert way.take(Line(), "predict", [JSON], BODY) is None
        state.scoring.active, state.draining = 0, True
        assert way.take(Line(), "predict", [JSON], BODY) is None
        state.draining, live, state.repository.live = False, state.repository.live, None
        assert way.take(Line(), "predict", [JSON], BODY) is None
        assert way.route(b"/v2/models/flights/infer") is None
        state.repository.live = live
        assert way.route(b"/v2/models/flights/infer") == "infer"
        way.limit = len(BODY) - 1
        assert way.take(Line(), "predict", [JSON], BODY) is None

    serve(scenario)


def test_many_share_a_run_and_a_server_that_begins_to_leave_says_so_in_its_answers(serve):
    async def scenario(service):
        way, lines = QuickWay(service.app), [Line() for _ in range(9)]
        for line in lines:
            assert way.take(line, "predict", [JSON], BODY)
        service.state.draining = True
        await turns()
        assert sum(service.state.repository.live.telemetry.run_rows.counts) == 1
        bodies = {json.dumps(json.loads(line.answers[0][1].body)["predictions"]) for line in lines}
        assert len(bodies) == 1
        assert all(line.answers[0][3] for line in lines)

    serve(scenario)


def test_a_run_that_fails_is_told_as_what_it_is_and_a_client_who_left_is_counted(serve, monkeypatch):
    async def scenario(service):
        way, line = QuickWay(service.app), Line(there=False)
        assert way.take(line, "predict", [JSON], BODY)
        await turns()
        assert counted(service, "disconnected") == 1
        monkeypatch.setattr(service.state.repository.live.batcher, "_score", lambda _: 1 / 0)
        broken = Line()
        assert way.take(broken, "predict", [JSON], BODY)
        await turns()
        assert broken.answers[0][1].status == 500
        assert b"ZeroDivision" not in broken.answers[0][1].body
        assert counted(service, "error") == 1
        assert service.state.scoring.active == 0

    serve(scenario)
