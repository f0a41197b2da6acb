"""What the running service lets go: by word of somebody who has it, or by age where settings say so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.collector.shop import event, outcome, row

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.collector.service import Service

FEBRUARY, MARCH = 1212, 2400  # rows are 37 minutes apart
JANUARY = "/v1/shop/periods/2014-01"


def filled(service: Service) -> str:
    """January is settled by a row of March; returns its digest."""
    service.send("records", *[row(n) for n in range(20)], row(FEBRUARY), row(MARCH))
    service.send("outcomes", *[outcome(n, request_id=..., row=...) for n in range(20)])
    return str(service.periods()[0]["digest"])


def remove(service: Service, digest: str, path: str = JANUARY, **more: Any) -> tuple[int, Any]:
    return service.ask("DELETE", path, If_Match=f'"{digest}"', **more)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_rows_go_by_their_digest_and_stay_listed(service: Service) -> None:
    digest = filled(service)
    before = service.periods()
    assert remove(service, digest) == (200, {"period": "2014-01", "digest": digest, "rows": 20})
    until(lambda: service.state()["removed_records"] == 20)
    after = service.periods()
    assert [{**one, "removed": None} for one in after] == before
    assert [one["removed"] is None for one in after] == [False, True, True]
    status, problem = service.ask("GET", f"{JANUARY}/records.parquet")
    assert (status, digest in problem["detail"]) == (410, True)
    assert remove(service, digest)[0] == 200, "asked again after no answer"
    assert remove(service, "0" * 64)[0] == 412
    assert not list((service.folder / "parquet" / "shop").glob("2014-01*"))
    text = service.ask("GET", "/metrics", token="")[1]
    assert 'slipway_collector_removed_total{project="shop",what="records"} 20' in text
    assert 'slipway_collector_stored{project="shop",what="records"} 2' in text
    service.kill()
    service.start()
    assert service.periods() == after
    answer = service.send("records", row(3), row(FEBRUARY))
    assert (answer["duplicates"], answer["rejected"]) == (1, 1)
    assert answer["results"][0]["reasons"][0]["reason"].startswith("comes too late: 2014-01 was published")


def test_rows_stay_with_whoever_cannot_name_them(service: Service) -> None:
    digest = filled(service)
    status, problem = service.ask("DELETE", JANUARY)
    assert (status, "If-Match" in problem["detail"]) == (428, True)
    status, problem = remove(service, "0" * 64)
    assert (status, digest in problem["detail"]) == (412, True)
    assert remove(service, digest, "/v1/shop/periods/2014-03")[0] == 409, "its rows may still come"
    for nowhere in ("2013-12", "all", "..%2f..", "x"):
        assert remove(service, digest, f"/v1/shop/periods/{nowhere}")[0] == 404
    assert remove(service, digest, token="test-token-of-a-reader")[0] == 403
    service.send("records", row(30))
    assert remove(service, digest)[0] == 412, "a row has come since"
    assert service.state()["removed_records"] == 0
    assert service.periods()[0]["rows"] == 21


def test_what_a_killed_service_had_begun_the_next_one_ends(started: Callable[..., Service]) -> None:
    service = started("--tidy-every-s", "0.1")
    rows = [row(n, sold=f"2014-01-02T00:00:{n // 1000:02}.{n % 1000:03}") for n in range(8000)]
    service.send("records", *rows)
    service.send("records", row(MARCH))
    assert remove(service, service.periods()[0]["digest"])[0] == 200
    service.kill()
    service.start()
    until(lambda: service.state()["removed_records"] == 8000)
    assert [one["rows"] for one in service.periods()] == [8000, 1]


def test_by_itself_nothing_goes_and_by_age_what_settings_say(started: Callable[..., Service]) -> None:
    service = started("--tidy-every-s", "0.1")
    service.send("events", event(1))
    service.send("records", row(1), row(2, price=-1))
    time.sleep(0.5)
    state = service.state()
    assert (state["records"], state["predictions"], state["quarantined"]) == (1, 1, 1)
    service.stop()
    service.options = (
        "--tidy-every-s",
        "0.1",
        "--keep-quarantine-days",
        "0.000001",
        "--keep-predictions-days",
        "0.000001",
    )
    service.start()
    until(lambda: service.state()["quarantined"] == 0)
    state = service.state()
    assert (state["removed_quarantined"], state["removed_predictions"]) == (1, 0), "a label may still come for 32 days"
    assert state["records"] - state["removed_records"] == 1


@pytest.mark.parametrize("option", ["--keep-predictions-days", "--keep-quarantine-days"])
def test_an_age_below_zero_is_refused(service: Service, option: str) -> None:
    service.stop()
    service.options = (option, "-1")
    with pytest.raises(AssertionError, match="is below 0"):
        service.start()
