from __future__ import annotations

import json

from serving.encoded import Encoded, Row
from serving.events import Events, spell
from tests.unit.serving import bundles


def test_an_event_says_what_was_asked_and_answered(model):
    records = bundles.rows(30)
    rows = model.intake.read(json.dumps({"records": records}).encode())
    events = list(spell((0.0, "id-1", model, rows, model.score(rows))))
    assert [event["inputs"] for event in events] == records
    assert {event["request_id"] for event in events} == {"id-1"}
    assert events[0]["bundle"] == f"sha256:{model.release.digest}"
    assert events[3]["row"] == 3
    assert events[3]["time"] == "1970-01-01T00:00:00.000+00:00"
    assert 0 < events[3]["probability"] < 1


def test_a_large_batch_is_cut_short(model):
    rows = Encoded(1000, bundles.feeds(bundles.rows(1000)))
    assert len(list(spell((0.0, "id", model, rows, model.score(rows))))) == 100


def offer(events: Events, model, times: int) -> None:
    row = model.intake.row(json.dumps(bundles.ROW).encode())
    assert isinstance(row, Row)
    for number in range(times):
        events.offer(f"id-{number}", model, row, [0.5])


def test_events_reach_the_file(model, tmp_path):
    events = Events(rate=1.0, file=str(tmp_path / "events.ndjson"), url="", size=100)
    offer(events, model, 50)
    events.start()
    events.close(5.0)
    lines = (tmp_path / "events.ndjson").read_text().splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == [f"id-{number}" for number in range(50)]
    assert events.counts == {"written": 50, "dropped": 0, "failed": 0}


def test_a_full_queue_drops_and_counts(model, tmp_path):
    events = Events(rate=1.0, file=str(tmp_path / "events"), url="", size=10)
    offer(events, model, 25)
    assert events.counts["dropped"] == 15


def test_what_cannot_be_written_is_counted(model, tmp_path):
    events = Events(rate=1.0, file=str(tmp_path / "no" / "folder"), url="", size=10)
    offer(events, model, 5)
    events._stop.set()
    events.start()
    events.close(5.0)
    assert events.counts["failed"] == 5


def test_a_share_is_sampled(model, tmp_path):
    events = Events(rate=0.1, file=str(tmp_path / "events"), url="", size=10_000)
    offer(events, model, 2000)
    assert 120 < events._queue.qsize() < 290
