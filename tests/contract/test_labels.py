"""The collection service as this side needs it: pages of joined predictions, counts by day, and every way to be away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ci.adapters.monitoring.labels import CollectedLabels, address
from ci.errors import BadInput, Unavailable
from ci.params_verification import Collector
from ci.rollout.interface import Arm, Question
from ci.verification.interface import BASELINE, CANARY
from ci.verification.labels import Answering, Cohort
from tests.releases import release


@dataclass
class Service:
    """Answers as docs/reference/collector.md has it."""

    joined: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    watermark: str | None = "2013-07-10T12:00:00+00:00"
    ends: str = ""
    url: str = ""
    asked: list[Any] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, str]:
        if self.ends.isdigit():
            return int(self.ends), '{"title": "no"}'
        if self.ends == "no json":
            return 200, "<html>"
        if path.endswith("/joined"):
            rows = self.joined
            if self.ends != "stuck":
                rows = [r for r in rows if r["id"] > int(query["after_id"]) and r["release"] == query["release"]]
            return 200, "".join(json.dumps(row) + "\n" for row in rows[: int(query["limit"])])
        if path.endswith("/labels"):
            return 200, json.dumps({"labels": self.labels})
        return 200, json.dumps({"project": "flights", "watermark": self.watermark})


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            made.asked.append((parts.path, query, self.headers.get("authorization")))
            status, text = made.answer(parts.path, query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()


def row(number: int, day: str, predicted: Any, target: Any, version: str = "1.1.0", **more: Any) -> dict[str, Any]:
    return {"id": number, "time": f"{day}T08:00:00+00:00", "request_id": f"r{number}", "row": 0,
            "release": f"flights@{version}", "version": version, "predicted": predicted, "target": target,
            "known_at": f"{day}T23:00:00+00:00", **more}  # fmt: skip


def sent(day: str, n: int, version: str = "1.1.0") -> dict[str, Any]:
    return {"release": f"flights@{version}", "day": day, "predictions": n, "labelled": 0, "waiting": 0, "expired": 0}


def question() -> Question:
    arms = [Arm(release(version), "x", ["10.0.0.1:80"]) for version in ("1.1.0", "1.0.0")]
    return Question("flights", "here", arms[0], arms[1], 50, "2026-01-01T00:00:00+00:00", "", "")


def count(service: Service, *arms: str, **policy: Any) -> Any:
    settings = Collector.model_validate({"url": service.url, "timeout_s": 1, "tries": 2, "page": 3, **policy})
    return CollectedLabels(settings, 1.0, lambda _: Answering("binary")).count(question(), arms or (CANARY,))


def test_pages_are_followed_and_counted_by_release_and_day(service, monkeypatch) -> None:
    service.joined = [
        *(row(n, "2013-07-01", 0.9, n % 2 == 0) for n in range(1, 6)),
        row(6, "2013-07-02", 0.1, False),
        row(7, "2013-07-02", 0.1, None),
        row(8, "2013-07-02", 0.1, True, "1.0.0"),
        row(9, "2013-07-02", 0.1, True, synthetic=True),
    ]
    service.labels = [
        sent("2013-07-01", 6),
        sent("2013-07-02", 4),
        sent("2013-07-02", 2, "1.0.0"),
        sent("2013-07-03", 9),
    ]
    monkeypatch.setenv("LABELS_TOKEN", "s3cret")
    found = count(service, CANARY, BASELINE, token_env="LABELS_TOKEN")
    assert found.arms[CANARY] == [
        Cohort(date(2013, 7, 1), 6, 5, 3), Cohort(date(2013, 7, 2), 4, 1, 0), Cohort(date(2013, 7, 3), 9, 0, 0),
    ]  # fmt: skip
    assert found.arms[BASELINE] == [Cohort(date(2013, 7, 2), 2, 1, 1)]
    assert str(found.watermark) == "2013-07-10 12:00:00+00:00"
    pages = [query for path, query, _ in service.asked if path.endswith("/joined")]
    assert [query["after_id"] for query in pages] == ["0", "3", "6", "0"]
    assert {key for _, _, key in service.asked} == {"Bearer s3cret"}


def test_a_service_without_records_goes_by_our_clock_and_one_without_predictions_has_no_days(service) -> None:
    service.watermark = None
    found = count(service)
    assert found.arms == {CANARY: []}
    assert found.watermark.year >= 2026
    assert found.watermark.tzinfo is not None


@pytest.mark.parametrize("ends", ["no json", "500", "503"])
def test_a_service_that_does_not_answer_is_unavailable(service, ends) -> None:
    service.ends = ends
    with pytest.raises(Unavailable):
        count(service)


def test_a_refusal_is_bad_input_and_pages_that_do_not_go_on_are_not_followed_for_ever(service) -> None:
    service.ends = "401"
    with pytest.raises(BadInput, match="401"):
        count(service)
    service.ends, service.joined = "stuck", [row(n, "2013-07-01", 0.9, True) for n in (1, 2, 3)]
    with pytest.raises(Unavailable, match="do not go on"):
        count(service)


@pytest.mark.parametrize(
    "wrong", [[{"id": "x"}], [{"id": 1, "version": "1.1.0", "time": "soon", "predicted": 1, "target": 1}]]
)
def test_what_is_no_joined_prediction_is_said_to_be_none(service, wrong) -> None:
    service.joined = wrong
    service.ends = "stuck"
    with pytest.raises(Unavailable, match="collection service|is no day"):
        count(service)


def test_the_address_may_come_from_the_environment(monkeypatch) -> None:
    policy = Collector(url_env="LABELS_URL")
    with pytest.raises(BadInput, match="LABELS_URL: not set"):
        address(policy)
    monkeypatch.setenv("LABELS_URL", "http://127.0.0.1:1")
    assert address(policy) == "http://127.0.0.1:1"


def test_probabilities_cost_their_squared_errors_and_the_counts_say_so(service) -> None:
    service.joined = [row(1, "2013-07-01", 0.9, True), row(2, "2013-07-01", 0.9, False), row(3, "2013-07-01", 7, True)]
    service.labels = [sent("2013-07-01", 3)]
    settings = Collector.model_validate({"url": service.url, "timeout_s": 1, "tries": 2, "page": 3})
    found = CollectedLabels(settings, 1.0, lambda _: Answering("binary", measure="brier")).count(question(), [CANARY])
    assert found.measure == "brier"
    assert found.arms[CANARY] == [Cohort(date(2013, 7, 1), 3, 2, pytest.approx(0.82))]
