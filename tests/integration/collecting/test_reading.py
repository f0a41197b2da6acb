"""Reading periods from a service that is wrong: other rows than promised, other contracts, rows that move meanwhile."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ci.adapters.collected import CollectorReader, content
from ci.contract import plain
from ci.errors import BadInput, Unavailable
from ci.files import sha256_of
from ci.sources import CollectorTable
from tests import shop
from tests.integration.collecting.misbehaving import Misbehaving, misbehaving

if TYPE_CHECKING:
    from collections.abc import Iterator

MARCH = (datetime(2024, 3, 1), datetime(2024, 4, 1))


class Service:
    """One period, and what is said of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.contract, self.promised, self.fetched = folder, sha256_of(plain(shop.contract())), "", 0
        self.rows(3)

    def rows(self, n: int) -> None:
        frame = pd.DataFrame({"id": range(n), "at": pd.date_range("2024-03-01", periods=n, freq="10D").as_unit("us")})
        frame.to_parquet(self.folder / "served.parquet", index=False)
        self.n, self.digest = n, content(self.folder / "served.parquet")

    def __call__(self, handler: Any) -> None:
        if handler.path.endswith("records.parquet"):
            self.fetched += 1
            self.before_answer()
            self.answer(
                handler, (self.folder / "served.parquet").read_bytes(), ETag=f'"{self.promised or self.digest}"'
            )
        elif handler.path.endswith("/periods"):
            held = {"period": "2024-03", "start": "2024-03-01T00:00:00", "end": "2024-04-01T00:00:00", "rows": self.n,
                    "settled": True, "digest": self.promised or self.digest}  # fmt: skip
            self.answer(handler, json.dumps({"periods": [held]}).encode())
        else:
            self.answer(handler, json.dumps({"project": "shop", "contract": self.contract}).encode())

    def before_answer(self) -> None:
        """Nothing, unless a test says otherwise."""

    def answer(self, handler: Any, body: bytes, **headers: str) -> None:
        handler.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def server(service: Service) -> Iterator[Misbehaving]:
    with misbehaving(service) as made:
        yield made


@pytest.fixture
def reader(tmp_path: Path, server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> CollectorReader:
    monkeypatch.setenv("SLIPWAY_COLLECTOR_URL", server.url)
    return again(tmp_path)


def again(root: Path) -> CollectorReader:
    return CollectorReader(shop.shop(root), CollectorTable(kind="collector"), root / "cache")


def test_a_period_is_read_and_fetched_once(reader: CollectorReader, service: Service, tmp_path: Path) -> None:
    assert list(reader.read(*MARCH)["id"]) == [0, 1, 2]
    assert list(again(tmp_path).read(*MARCH)["id"]) == [0, 1, 2]
    assert service.fetched == 1, "what a run that died had fetched is not fetched again"
    assert reader.schema(*MARCH) == {"id": "integer", "at": "timestamp"}
    assert reader.settled() == MARCH[1]


def test_a_window_within_a_period_is_cut(reader: CollectorReader) -> None:
    assert list(reader.read(datetime(2024, 3, 5), datetime(2024, 3, 21))["id"]) == [1]


def test_where_there_is_nothing_there_are_no_rows_of_the_contract(reader: CollectorReader) -> None:
    assert list(reader.read(datetime(2024, 4, 1), datetime(2024, 5, 1)).columns) == list(shop.CONTRACT["columns"])


def test_other_rows_than_promised_are_not_kept(reader: CollectorReader, service: Service, tmp_path: Path) -> None:
    service.promised = "a" * 64
    with pytest.raises(Unavailable, match=f"rows with digest {service.digest[:12]} arrived, aaaaaaaaaaaa was promised"):
        reader.read(*MARCH)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_what_a_killed_run_left_half_fetched_goes_once_it_is_old(reader: CollectorReader, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "collector" / "shop"
    folder.mkdir(parents=True)
    old, young = folder / ".2024-02-aa.parquet.x.part", folder / ".2024-03-bb.parquet.y.part"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    reader.read(*MARCH)
    assert [old.exists(), young.exists()] == [False, True], "the young one may be somebody's who is at work"


def test_what_was_damaged_in_the_cache_is_fetched_again(
    reader: CollectorReader, service: Service, tmp_path: Path
) -> None:
    reader.read(*MARCH)
    (kept,) = (tmp_path / "cache").rglob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert len(again(tmp_path).read(*MARCH)) == 3
    assert service.fetched == 2


def test_another_contract_is_refused_before_a_row_is_read(reader: CollectorReader, service: Service) -> None:
    service.contract = "d" * 64
    with pytest.raises(BadInput) as refused:
        reader.read(*MARCH)
    assert "d" * 64 in str(refused.value)
    assert sha256_of(plain(shop.contract())) in str(refused.value)
    assert service.fetched == 0


def test_rows_that_come_while_it_is_read_are_listed_again(
    reader: CollectorReader, service: Service, tmp_path: Path
) -> None:
    before = reader.digest(*MARCH)
    service.before_answer = lambda: service.rows(4) if service.n == 3 else None  # type: ignore[method-assign]
    assert len(reader.read(*MARCH)) == 4
    assert reader.digest(*MARCH) != before, "what the manifest remembers is what was read"
    assert len(list((tmp_path / "cache").rglob("*.parquet"))) == 1


def test_rows_that_never_rest_are_unavailable(reader: CollectorReader, service: Service) -> None:
    service.before_answer = lambda: service.rows(service.n + 1 if service.n < 4 else 3)  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="faster than it can be read"):
        reader.read(*MARCH)


def test_without_an_address_the_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_COLLECTOR_URL", raising=False)
    with pytest.raises(BadInput, match="SLIPWAY_COLLECTOR_URL: this environment variable must hold the address"):
        again(tmp_path).read(*MARCH)
