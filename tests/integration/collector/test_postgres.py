"""The service on PostgreSQL: the same over HTTP, killed, and while the database is away."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests import postgres
from tests.integration.collector.test_life import Sender, everything, moment, times
from tests.unit.collector.shop import row

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = int(os.environ.get("SLIPWAY_TEST_KILLS", "2"))


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Cluster]:
    with postgres.running() as found:
        yield found


def test_sigkill_loses_nothing_acknowledged(started, server):
    service = started(store=server.database())
    senders = [Sender(service, number) for number in range(2)]
    for sender in senders:
        sender.start()
    draw = random.Random("postgres")
    for _ in range(ROUNDS):
        time.sleep(draw.uniform(0.3, 1.0))
        service.kill()
        service.start()
    time.sleep(0.5)
    for sender in senders:
        sender.ended.set()
    for sender in senders:
        sender.join(30)
    acknowledged = {n for sender in senders for n in sender.acknowledged}
    assert acknowledged
    rows = [found.isoformat(timespec="microseconds") for period in service.periods()
            for found in times(service, period["period"])]  # fmt: skip
    assert len(rows) == len(set(rows)) == service.state()["records"]
    assert {moment(n) for n in acknowledged} <= set(rows)
    joined = everything(service)
    assert len(joined) == len(set(joined))
    assert {f"ask-{n}" for n in acknowledged} <= set(joined)


def test_a_database_that_goes_away_is_503_and_comes_back(started, server):
    service = started(store=server.database())
    service.send("records", row(1))
    server.stop()
    status, problem = service.ask("POST", "/v1/shop/records", [row(2)])
    assert (status, problem["status"]) == (503, 503)
    assert "retry-after" in service.headers
    assert service.ask("GET", "/v1/shop")[0] == 503
    server.start()
    deadline = time.monotonic() + 20
    while service.ask("POST", "/v1/shop/records", [row(2)])[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert service.state()["records"] == 2
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
    assert postgres.PASSWORD not in json.dumps(service.lines)
