"""Starting, ending, being killed."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from tests.integration.collector.service import ROOT, TOKEN, Service
from tests.unit.collector import shop
from tests.unit.collector.shop import event, outcome, row

ROUNDS = int(os.environ.get("SLIPWAY_TEST_KILLS", "5"))


class Sender(threading.Thread):
    """Sends batches until told to stop; tries each again until it was acknowledged, as senders do."""

    def __init__(self, service: Service, number: int) -> None:
        super().__init__(daemon=True)
        self.service, self.number, self.ended = service, number, threading.Event()
        self.acknowledged: list[int] = []
        self.unclear: list[int] = []
        self.attempts = 0

    def run(self) -> None:
        for start in range(self.number * 1_000_000, (self.number + 1) * 1_000_000, 50):
            batch = range(start, start + 50)
            while not self.send(batch):
                if self.ended.is_set():
                    self.unclear += batch
                    return
                time.sleep(0.02)
            self.acknowledged += batch
            if self.ended.is_set():
                return

    def send(self, batch) -> bool:
        self.attempts += 1
        kinds = {"records": [row(n, sold=moment(n)) for n in batch], "events": [event(n % 1000, request_id=f"ask-{n}") for n in batch],
                 "outcomes": [outcome(n % 1000, till=..., sold=..., request_id=f"ask-{n}") for n in batch]}  # fmt: skip
        try:
            return all(self.post(kind, documents) for kind, documents in kinds.items())
        except (OSError, http.client.HTTPException):
            return False

    def post(self, kind: str, documents) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=5)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
            connection.request("POST", f"/v1/shop/{kind}", shop.lines(*documents), headers)
            answer = connection.getresponse()
            taken = json.loads(answer.read())
            assert answer.status != 200 or not taken["rejected"], taken
            return answer.status == 200
        finally:
            connection.close()


def moment(n: int) -> str:
    return f"2014-01-01T{n // 1_000_000:02d}:{n // 1000 % 60:02d}:{n // 100 % 10:02d}.{n % 1_000_000:06d}"


def test_sigkill_at_random_instants_loses_nothing_acknowledged(started):
    service = started()
    senders = [Sender(service, number) for number in range(3)]
    for sender in senders:
        sender.start()
    draw = random.Random(os.environ.get("SLIPWAY_TEST_SEED", "collector"))
    for _ in range(ROUNDS):
        time.sleep(draw.uniform(0.05, 0.8))
        service.kill()
        service.start()
    time.sleep(0.5)
    for sender in senders:
        sender.ended.set()
    for sender in senders:
        sender.join(30)
        assert not sender.is_alive()
    acknowledged = {n for sender in senders for n in sender.acknowledged}
    unclear = {n for sender in senders for n in sender.unclear}
    assert len(acknowledged) >= 50 * ROUNDS
    state = service.state()
    rows = [moment.isoformat(timespec="microseconds") for period in service.periods()
            for moment in times(service, period["period"])]  # fmt: skip
    assert len(rows) == len(set(rows)) == state["records"]
    assert {moment(n) for n in acknowledged} <= set(rows) <= {moment(n) for n in acknowledged | unclear}
    joined = everything(service)
    assert len(joined) == len(set(joined))
    assert {f"ask-{n}" for n in acknowledged} <= set(joined)
    assert sum(sender.attempts for sender in senders) > len(acknowledged) // 50, "nobody had to try again"


def times(service: Service, period: str):
    import io

    import pyarrow.parquet as pq

    raw = service.ask("GET", f"/v1/shop/periods/{period}/records.parquet")[1]
    return pq.read_table(io.BytesIO(raw))["sold"].to_pylist()


def everything(service: Service) -> list[str]:
    found: list[str] = []
    last = 0
    while page := service.ask("GET", f"/v1/shop/joined?limit=5000&after_id={last}")[1]:
        found += [one["request_id"] for one in page]
        last = page[-1]["id"]
    return found


def test_sigterm_drains(started):
    service = started("--drain-s", "0.5")
    service.process.terminate()
    service.wait_for("draining")
    assert service.ask("GET", "/v2/health/ready")[0] == 503
    assert service.ask("GET", "/v2/health/live")[0] == 200
    assert service.process.wait(10) == 0
    assert service.lines[-1]["event"] == "stopped"


def test_what_was_sent_is_there_after_a_restart_and_sent_again_a_duplicate(started):
    service = started()
    service.send("records", *[row(n) for n in range(100)])
    service.stop()
    service.start()
    answer = service.send("records", *[row(n) for n in range(100)])
    assert (answer["accepted"], answer["duplicates"]) == (0, 100)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("COLLECTOR_STORE", "mysql://root:hunter2@host/db", "neither sqlite:///PATH nor postgresql://"),
        ("COLLECTOR_STORE", "sqlite:////dev/null/x.db", "COLLECTOR_STORE: /dev/null/x.db"),
        ("COLLECTOR_CONTRACTS", "/nowhere", "no contract in it"),
        ("COLLECTOR_TOKENS", "/nowhere", "COLLECTOR_TOKENS: /nowhere: No such file"),
        ("COLLECTOR_HASH_KEY", "short", "needs a key of at least 16 characters"),
        ("COLLECTOR_PORT", "eighty", "is not a whole number"),
    ],
)
def test_a_wrong_start_is_one_line_and_2(service, variable, value, said):
    service.stop()
    found = subprocess.run([sys.executable, "-m", "collector"], cwd=ROOT, env={**service.environment, variable: value},
                           capture_output=True, text=True, timeout=30)  # fmt: skip
    assert found.returncode == 2
    assert said in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert "hunter2" not in found.stderr


def test_metrics_tell_of_freshness(service):
    service.send("records", row(1), row(2, price=-1))
    text = service.ask("GET", "/metrics", token="")[1]
    assert 'slipway_collector_records_total{project="shop",kind="records",outcome="accepted"} 1' in text
    assert 'slipway_collector_rejected_total{project="shop",field="price"} 1' in text
    assert 'slipway_collector_stored{project="shop",what="quarantined"} 1' in text
    assert 'slipway_collector_watermark_seconds{project="shop"} 1388536620' in text
