"""What goes in, and what comes out of it."""

from __future__ import annotations

import io
import json
import random
import signal

import pyarrow.parquet as pq

from tests.unit.collector import shop
from tests.unit.collector.shop import event, keys, outcome, row


def table(service, period: str = "2014-01"):
    status, raw = service.ask("GET", f"/v1/shop/periods/{period}/records.parquet")
    assert status == 200, raw
    return pq.read_table(io.BytesIO(raw))


def test_records_come_back_as_parquet_in_order_of_time_and_key(service):
    rows = [row(n) for n in range(300)]
    assert service.send("records", *random.Random(1).sample(rows, 300))["accepted"] == 300
    found = table(service)
    assert found.column_names == list(shop.DOCUMENT["columns"])
    assert [moment.isoformat() for moment in found["sold"].to_pylist()] == [r["sold"] for r in rows]
    assert found["price"].to_pylist() == [r["price"] for r in rows]
    assert found["returned"].null_count == 300


def test_every_form_of_body_is_taken(service):
    body = shop.lines(row(1), row(2))
    assert service.ask("POST", "/v1/shop/records", body, packed=True)[1]["accepted"] == 2
    array = json.dumps([row(3), row(4)]).encode()
    assert service.ask("POST", "/v1/shop/records", array, Content_Type="application/json")[1]["accepted"] == 2
    crlf = b"\xef\xbb\xbf" + shop.lines(row(5)).replace(b"\n", b"\r\n\r\n")
    assert service.ask("POST", "/v1/shop/records", crlf)[1]["accepted"] == 1
    assert service.state()["records"] == 5


def test_the_same_again_is_a_duplicate_and_something_else_a_restatement(service):
    service.send("records", row(1), row(2))
    digest = service.periods()[0]["digest"]
    answer = service.send("records", row(1), row(2, price=7), row(3), row(3), row(3, price=1))
    assert (answer["accepted"], answer["duplicates"], answer["restated"]) == (1, 2, 2)
    assert [(r["index"], r["outcome"]) for r in answer["results"]] == [
        (0, "duplicate"), (1, "restated"), (3, "duplicate"), (4, "restated")
    ]  # fmt: skip
    assert table(service)["price"].to_pylist() == [1.5, 7.0, 1.0]
    assert service.periods()[0]["digest"] != digest
    past = service.ask("GET", "/v1/shop/restated")[1]
    assert [(one["version"], one["record"]["price"]) for one in past] == [(1, 2.5), (1, 3.5)]


def test_the_digest_does_not_know_what_came_first(started):
    rows, known = [row(n) for n in range(50)], [outcome(n, request_id=..., row=...) for n in range(40)]
    one, other = started(), started()
    one.send("records", *rows)
    one.send("outcomes", *known)
    other.send("outcomes", *reversed(known))
    for record in random.Random(2).sample(rows, 50):
        other.send("records", record)
    assert [p["digest"] for p in one.periods()] == [p["digest"] for p in other.periods()]
    assert table(one).equals(table(other))


def test_outcomes_wait_for_their_records(service):
    answer = service.send("outcomes", outcome(1, returned_days=5, request_id=..., row=...))
    assert answer["accepted"] == 1
    assert service.state()["waiting"] == 1
    service.send("records", row(1), row(2))
    assert service.state()["waiting"] == 0
    found = table(service)
    assert found["returned"].to_pylist() == [False, None]
    assert found["returned_days"].to_pylist() == [5, None]
    assert service.periods()[0]["labelled"] == 1


def test_a_newer_outcome_counts_whatever_comes_first(service):
    service.send("records", row(1))
    new = outcome(1, returned=True, known_at="2014-02-02T00:00:00", request_id=..., row=...)
    old = outcome(1, returned=False, known_at="2014-02-01T00:00:00", request_id=..., row=...)
    assert service.send("outcomes", new)["accepted"] == 1
    assert service.send("outcomes", old)["restated"] == 1
    assert service.send("outcomes", old)["duplicates"] == 1
    assert table(service)["returned"].to_pylist() == [True]


def test_predictions_are_joined_to_labels_by_request_id(service):
    service.send("events", event(1), event(2), event(3))
    service.send("outcomes", outcome(2, **dict.fromkeys(keys(2), ...)), outcome(1))
    joined = service.ask("GET", "/v1/shop/joined")[1]
    assert [(j["request_id"], j["predicted"], j["target"]) for j in joined] == [
        ("ask-1", 0.25, False),
        ("ask-2", 0.25, False),
    ] or [j["request_id"] for j in joined] == ["ask-2", "ask-1"]
    service.send("outcomes", outcome(4))
    assert len(service.ask("GET", "/v1/shop/joined")[1]) == 2
    service.send("events", event(4))  # its outcome was there already
    last = service.ask("GET", f"/v1/shop/joined?after_id={joined[-1]['id']}")[1]
    assert [j["request_id"] for j in last] == ["ask-4"]
    assert last[0]["probability"] == 0.25
    assert service.ask("GET", "/v1/shop/joined?release=shop@2")[1] == []
    (labels,) = service.ask("GET", "/v1/shop/labels")[1]["labels"]
    assert labels == {
        "release": "shop@1.0.0",
        "day": "2014-01-01",
        "predictions": 4,
        "labelled": 3,
        "waiting": 1,
        "expired": 0,
    }


def test_a_label_that_comes_too_late_is_not_joined(service):
    service.send("events", event(1), event(2))
    service.send("outcomes", outcome(1, known_at="2014-03-01T00:00:00"))
    assert service.ask("GET", "/v1/shop/joined")[1] == []
    (labels,) = service.ask("GET", "/v1/shop/labels")[1]["labels"]
    assert (labels["labelled"], labels["expired"]) == (0, 2)


def test_periods_settle_by_watermark_and_lateness(service):
    service.send("records", row(0), row(0, sold="2014-02-01T12:00:00"))
    assert [(p["period"], p["settled"]) for p in service.periods()] == [("2014-01", False), ("2014-02", False)]
    service.send("records", row(0, sold="2014-02-03T00:00:00"))
    first, second = service.periods()
    assert (first["settled"], second["settled"]) == (True, False)
    assert (first["start"], first["end"], first["rows"]) == ("2014-01-01T00:00:00", "2014-02-01T00:00:00", 1)
    service.send("records", row(1))  # late, and taken all the same: the period tells of it
    again = service.periods()[0]
    assert again["rows"] == 2
    assert again["digest"] != first["digest"]
    assert again["version"] > first["version"]


def test_a_period_has_a_tag_and_is_not_sent_twice(service):
    service.send("records", row(1))
    (period,) = service.periods()
    path = "/v1/shop/periods/2014-01/records.parquet"
    service.ask("GET", path)
    assert service.headers["etag"] == f'"{period["digest"]}"'
    assert service.ask("GET", path, If_None_Match=f'"other", "{period["digest"]}"')[0] == 304
    assert service.ask("GET", "/v1/shop/periods/2014-02/records.parquet")[0] == 404


def test_sensitive_columns_are_hashed_or_dropped_before_anything_is_kept(service):
    service.send(
        "records",
        row(1, card="4711-0815"),
        row(2, card="4711-0815"),
        row(3, card=None),
        row(4, price=-1, card="4711-0815"),
    )
    found = table(service)
    cards = found["card"].to_pylist()
    assert cards[0] == cards[1]
    assert cards[0].startswith("hmac:")
    assert cards[2] is None
    assert found["note"].null_count == 3
    service.stop()
    kept = b"".join(file.read_bytes() for file in service.folder.rglob("*") if file.is_file() and file.name != "tokens")
    assert b"4711-0815" not in kept
    assert b"secret" not in kept


def test_a_corrupt_delivery_is_refused_corrected_and_replayed(service):
    service.send("records", *[row(n) for n in range(10)])
    before = service.periods()
    answer = service.send("records", *[row(n, price=-n) for n in range(10, 15)], row(15))
    assert (answer["accepted"], answer["rejected"]) == (1, 5)
    assert answer["results"][0]["reasons"] == [{"field": "price", "reason": "must be between 0 and 1000, got -10"}]
    kept = service.ask("GET", "/v1/shop/quarantine")[1]
    assert [one["id"] for one in kept] == [r["quarantine"] for r in answer["results"]]
    assert (
        service.send("records", row(10, price=-10))["results"][0]["quarantine"] == kept[0]["id"]
    )  # sent again, kept once
    corrected = [{"id": one["id"], "record": {**one["record"], "price": 1.0}} for one in kept[:4]]
    corrected.append({"id": kept[4]["id"]})  # as it is: still wrong
    status, again = service.ask("POST", "/v1/shop/quarantine/replay", corrected)
    assert (status, again["accepted"], again["rejected"]) == (200, 4, 1)
    assert again["results"][0]["quarantine"] == kept[4]["id"]
    assert service.state()["quarantined"] == 1
    assert service.ask("DELETE", f"/v1/shop/quarantine/{kept[4]['id']}")[0] == 200
    assert service.ask("DELETE", f"/v1/shop/quarantine/{kept[4]['id']}")[0] == 404
    assert service.state()["quarantined"] == 0
    assert service.state()["records"] == 15
    cards = table(service)["card"].to_pylist()
    service.send("records", row(10, price=1.0))  # the hash of what was corrected is that of what was sent
    assert table(service)["card"].to_pylist() == cards
    assert before[0]["rows"] == 10


def test_a_replay_of_several_kinds_names_lines_of_its_body(service):
    service.send("records", row(1, price=-1))
    service.send("events", event(1, score=1.0))
    service.send("outcomes", outcome(1, price=1))
    kept = service.ask("GET", "/v1/shop/quarantine")[1]
    assert [one["kind"] for one in kept] == ["records", "events", "outcomes"]
    kept[2]["record"].pop("price")
    status, answer = service.ask("POST", "/v1/shop/quarantine/replay", [kept[2], kept[1], kept[0]])
    assert (status, answer["accepted"], answer["rejected"]) == (200, 1, 2)
    assert [(r["index"], r["quarantine"]) for r in answer["results"]] == [(1, kept[1]["id"]), (2, kept[0]["id"])]
    assert service.ask("POST", "/v1/shop/quarantine/replay", [{"id": 99}])[0] == 404
    assert service.ask("POST", "/v1/shop/quarantine/replay", [kept[0], kept[0]])[0] == 422


def test_a_csv_for_spreadsheets_holds_no_formulas(service):
    service.ask("POST", "/v1/shop/records", b'=cmd|"/c calc"!A0\n')
    service.ask("POST", "/v1/shop/records", b'{"=1+1": 1}\n')
    text = service.ask("GET", "/v1/shop/quarantine?format=csv")[1]
    assert "=cmd" not in text or "'=cmd" in text
    for line in text.splitlines():
        assert not any(cell.lstrip('" ').startswith(("=", "+", "-", "@")) for cell in line.split(",")), line


def test_a_new_contract_is_read_on_sighup_and_old_rows_take_its_form(service):
    service.send("records", row(1))
    digest = service.periods()[0]["digest"]
    columns = {**shop.DOCUMENT["columns"], "colour": {"type": "string", "nullable": True}}
    changed = shop.document(digest="b" * 64, columns=columns)
    (service.folder / "contracts" / "shop.json").write_text(json.dumps(changed))
    service.process.send_signal(signal.SIGHUP)
    service.wait_for("reloaded")
    status, problem = service.ask("POST", "/v1/shop/records", [row(1)], Slipway_Contract="a" * 64)
    assert status == 409
    assert "a" * 64 in problem["detail"]
    assert "b" * 64 in problem["detail"]
    answer = service.send("records", row(1), row(2, colour="red"))
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert table(service)["colour"].to_pylist() == [None, "red"]
    assert service.periods()[0]["digest"] != digest


def test_a_contract_that_cannot_be_used_changes_nothing(service):
    assert service.ask("GET", "/v2/health/ready")[0] == 200
    (service.folder / "contracts" / "shop.json").write_text("{}")
    service.process.send_signal(signal.SIGHUP)
    assert "shop.json" in service.wait_for("not reloaded")["reason"]
    assert service.send("records", row(1))["accepted"] == 1
