"""The list of what arrives at such a door sooner or later."""

from __future__ import annotations

import gzip
import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.collector.service import READER, TOKEN, Service
from tests.unit.collector import shop
from tests.unit.collector.shop import event, outcome, row

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    """One service for all that is refused."""
    found = Service(tmp_path_factory.mktemp("service"))
    yield found
    if found.process.poll() is None:
        found.kill()


def reasons(answer) -> dict[str | None, str]:
    return {r["field"]: r["reason"] for result in answer["results"] for r in result.get("reasons", [])}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "is not JSON"),
        (b"nonsense", "is not JSON"),
        (b"[1, 2]", "is not an object with names and values; an array of records is application/json"),
        (b'{"price": NaN}', "is not JSON"),
        (b'{"town": "M\xfcnchen"}', "is not UTF-8"),
        (b'{"town": "\\ud800"}', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": "' + b"x" * 300_000 + b'"}', "has 300"),
    ],
)
def test_one_broken_line_costs_only_itself(service, line, said):
    status, answer = service.ask("POST", "/v1/shop/records", shop.lines(row(1)) + line + b"\n" + shop.lines(row(2)))
    assert (status, answer["accepted"] + answer["duplicates"], answer["rejected"]) == (200, 2, 1)
    assert [result["index"] for result in answer["results"] if result["outcome"] == "rejected"] == [1]
    assert reasons(answer)[None].startswith(said)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"price": 1001}, "price", "must be between 0 and 1000"),
        ({"price": "1"}, "price", "must be a number, not a string"),
        ({"price": None}, "price", "must be a number, not null"),
        ({"price": ...}, "price", "is missing"),
        ({"pieces": 1.5}, "pieces", "must be a whole number"),
        ({"pieces": 2**70}, "pieces", "must be between"),
        ({"pieces": True}, "pieces", "must be a whole number, not a boolean"),
        ({"gift": 1}, "gift", "must be true or false, not a number"),
        ({"kind": "toys"}, "kind", "must be one of its 2 categories"),
        ({"town": "x" * 11}, "town", "must have at most 10 characters"),
        ({"town": "a\0b"}, "town", "must not hold U+0000"),
        ({"sold": "yesterday"}, "sold", "must be a moment"),
        ({"sold": 20140101}, "sold", "must be a moment"),
        ({"sold": "2099-01-01T00:00:00"}, "sold", "2099-01-01T00:00:00 has not come yet"),
        ({"prise": 1}, "prise", "is not in the contract; did you mean price?"),
        ({"card": 4711}, "card", "must be a text, not a number"),
        ({"card": "4" * 201}, "card", "is not what the contract says"),
    ],
)
def test_each_violation_is_named(service, changes, field, said):
    answer = service.send("records", row(1), row(2, **changes))
    assert (answer["accepted"] + answer["duplicates"], answer["rejected"]) == (1, 1)
    assert reasons(answer)[field].startswith(said)


def test_all_of_a_batch_may_be_wrong(service):
    before = service.state()["quarantined"]
    answer = service.send("records", *[row(n, price=-1, town="all") for n in range(500)])
    assert (answer["accepted"], answer["rejected"], len(answer["results"])) == (0, 500, 500)
    assert service.state()["quarantined"] == before + 500


def test_the_quarantine_is_bounded(started):
    service = started("--max-quarantine", "3")
    answer = service.send("records", *[row(n, price=-1) for n in range(5)])
    assert [result["quarantine"] is not None for result in answer["results"]] == [True] * 3 + [False] * 2
    assert service.state()["quarantined"] == 3


def test_moments_from_the_future_and_clocks_that_are_slow(service):
    ahead = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 3 * 86_400))
    skewed = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 600))
    answer = service.send("events", event(1, time=ahead), event(2, time=skewed))
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert "has not come yet" in reasons(answer)["time"]
    assert service.send("outcomes", outcome(1, known_at=ahead))["rejected"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request_id": ..., "till": ..., "sold": ...}, "names neither a request_id nor"),
        ({"till": ...}, "is missing: a record is named by"),
        ({"returned": ...}, "says nothing"),
        ({"known_at": ...}, "is missing"),
        ({"price": 3}, "is not in the contract"),
        ({"request_id": "../../x"}, "may hold letters"),
    ],
)
def test_outcomes_that_lead_nowhere(service, changes, said):
    answer = service.send("outcomes", outcome(1, **changes))
    assert answer["rejected"] == 1
    assert any(reason.startswith(said) for reason in reasons(answer).values())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probability": ...}, "needs exactly one of"),
        ({"score": 1.0}, "needs exactly one of"),
        ({"inputs": [1]}, "must be an object"),
        ({"request_id": "a b"}, "may hold letters"),
        ({"inputs": {"sold": "2014-01-01T00:00:00"}}, "is missing"),
        ({"probability": "high"}, "must be a finite number"),
        ({"probability": ..., "probabilities": [0.5, "x"]}, "must be numbers"),
    ],
)
def test_events_that_say_too_little(service, changes, said):
    answer = service.send("events", event(1, **changes))
    assert answer["rejected"] == 1
    assert any(reason.startswith(said) for reason in reasons(answer).values())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/nobody/records", 404),
        ("/v1/../v1/shop/records", 404),
        ("/v1/%2e%2e%2f%2e%2e%2fetc/records", 404),
        ("/v1/shop%00/records", 404),
        ("/v1/shop/secrets", 404),
        ("/v1/shop/records?dry=1", 400),
        ("/v1/shop/quarantine/9999999999999999999999", 404),
    ],
)
def test_paths_lead_where_they_should(service, path, status):
    before = service.state()["records"]
    found, problem = service.ask("POST", path, [row(777)])
    assert found == status
    assert problem["status"] == status
    assert service.state()["records"] == before


@pytest.mark.parametrize("period", ["..%2f..%2fstore", "2014-13", "2014-01%2f..", "all", "%00"])
def test_periods_are_no_paths(service, period):
    service.send("records", row(1))
    assert service.ask("GET", f"/v1/shop/periods/{period}/records.parquet")[0] == 404


def test_who_may_do_what(started):
    service = started()
    assert service.ask("POST", "/v1/shop/records", [row(1)], token="")[0] == 401
    assert "www-authenticate" in service.headers
    assert service.ask("POST", "/v1/shop/records", [row(1)], token="wrong")[0] == 401
    assert service.ask("POST", "/v1/shop/records", [row(1)], token=READER)[0] == 403
    assert service.ask("GET", "/v1/shop", token=READER)[0] == 200
    assert service.ask("DELETE", "/v1/shop/quarantine/1", token=READER)[0] == 403
    assert service.ask("GET", "/v1/nobody", token="wrong")[0] == 401
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/metrics"):
        assert service.ask("GET", path, token="")[0] == 200
    service.stop()
    logged = json.dumps(service.lines)
    assert not any(secret in logged for secret in (TOKEN, READER, 'wrong"', shop.HASH_KEY))


def test_large_bodies_and_bombs(started):
    service = started("--max-body-mb", "1", "--max-inflated-mb", "2", "--max-records", "100")
    assert service.ask("POST", "/v1/shop/records", b" " * (2**20 + 1))[0] == 413
    bomb = gzip.compress(b"\n" * 50_000_000)
    assert service.ask("POST", "/v1/shop/records", bomb, Content_Encoding="gzip")[0] == 413
    assert service.ask("POST", "/v1/shop/records", b"not gzip", Content_Encoding="gzip")[0] == 400
    assert service.ask("POST", "/v1/shop/records", b"x", Content_Encoding="br")[0] == 415
    assert service.ask("POST", "/v1/shop/records", [row(n) for n in range(101)])[0] == 413
    assert service.ask("POST", "/v1/shop/records", b"{}", Content_Type="text/csv")[0] == 415
    for strange, said in ((b"\xff\xfe{\0}\0", "UTF-16"), (b"{\0}\0", "UTF-16"), (gzip.compress(b"{}"), "is gzip")):
        status, problem = service.ask("POST", "/v1/shop/records", strange)
        assert (status, said in problem["detail"]) == (400, True)
    twice = gzip.compress(gzip.compress(b"{}"))
    assert service.ask("POST", "/v1/shop/records", twice, Content_Encoding="gzip")[0] == 400
    assert service.state()["quarantined"] == 0
    assert service.ask("POST", "/v1/shop/records", b"[{]", Content_Type="application/json")[0] == 400
    assert service.ask("POST", "/v1/shop/records", b"")[1]["accepted"] == 0
    assert service.state()["records"] == 0


def test_ten_gigabytes_are_refused_by_their_head(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        head = f"POST /v1/shop/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 10737418240\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 100_000)
        assert b" 413 " in connection.recv(4096)


def test_slow_senders_are_told(started):
    service = started("--body-timeout-s", "0.5")
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        head = f"POST /v1/shop/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        assert b" 408 " in connection.recv(4096)
    assert service.send("records", row(1))["accepted"] == 1


def test_a_full_disk_is_refused_before_it_is_full(started):
    service = started("--max-disk-mb", "20")
    sent = 0
    for start in range(0, 400_000, 4000):
        status, answer = service.ask("POST", "/v1/shop/records", [row(n) for n in range(start, start + 4000)])
        if status != 200:
            break
        sent += answer["accepted"]
    assert status == 507
    assert answer["status"] == 507
    assert "of the 20 MB" in answer["detail"]
    assert service.state()["records"] == sent > 0
    assert service.ask("GET", "/v2/health/ready")[0] == 200
    store = sum(file.stat().st_size for file in service.folder.glob("store.db*"))
    assert store <= 20 * 2**20
