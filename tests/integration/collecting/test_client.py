"""The door to a collection service, against servers that are away, busy, wrong, hostile or slow."""

from __future__ import annotations

import gzip
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from ci.adapters.collector import Client, address
from ci.data.held import Held
from ci.errors import BadInput, Unavailable
from tests.integration.collecting.misbehaving import misbehaving

RECEIPT = (200, {}, b'{"accepted":1,"duplicates":0,"restated":0,"rejected":0,"results":[],"more":1}')
HELD = Held(
    period="2024-03", start="2024-03-01T00:00:00", end="2024-04-01T00:00:00", rows=1, settled=True, digest="a" * 64
)
TOKEN = "s3cret-t0ken"  # noqa: S105


def client(url: str, **options: Any) -> Client:
    given = {"token": TOKEN, "token_from": "SHOP_TOKEN", "contract": "c" * 64, "timeout_s": 1.0, "patience_s": 0.0}
    return Client(url, "shop", **{**given, **options})


def problem(status: int, detail: str = "why", **headers: str) -> tuple[int, dict[str, str], bytes]:
    return (status, headers, json.dumps({"title": "t", "status": status, "detail": detail}).encode())


def test_a_batch_travels_as_gzipped_lines_under_token_and_contract() -> None:
    with misbehaving(RECEIPT) as server:
        assert client(server.url).send("records", [{"id": 1, "town": "Łódź"}, {"id": 2}]).accepted == 1
    ((method, path, headers, body),) = server.asked
    assert (method, path) == ("POST", "/v1/shop/records")
    assert [json.loads(line) for line in gzip.decompress(body).splitlines()] == [{"id": 1, "town": "Łódź"}, {"id": 2}]
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Slipway-Contract"] == "c" * 64
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/x-ndjson", "gzip")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_is_busy_is_asked_again_until_it_answers(status: int) -> None:
    naps: list[float] = []
    with misbehaving(problem(status), problem(status), RECEIPT) as server:
        assert client(server.url, patience_s=60, sleep=naps.append).send("records", [{}]).accepted == 1
    assert len(server.asked) == 3
    assert len(set(map(str, server.asked))) >= 1
    assert 0 < naps[0] <= 0.2
    assert naps[1] <= 0.4


def test_what_retry_after_says_is_done() -> None:
    naps: list[float] = []
    with misbehaving(problem(503, **{"Retry-After": "7"}), RECEIPT) as server:
        client(server.url, patience_s=60, sleep=naps.append).send("records", [{}])
    assert naps == [7.0]


def test_patience_ends() -> None:
    said: list[str] = []
    with misbehaving(problem(503, "the store is busy", **{"Retry-After": "7"})) as server:
        with pytest.raises(Unavailable, match="503 the store is busy"):
            client(server.url, patience_s=5, sleep=lambda _: None, say=said.append).state()
    assert len(server.asked) == 1, "seven seconds are longer than its patience"


def test_who_is_not_there_yet_is_waited_for() -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{place.getsockname()[1]}"
        naps: list[float] = []
        clock = iter(range(1000))
        with pytest.raises(Unavailable, match="does not answer"):
            client(url, patience_s=8, sleep=naps.append, clock=lambda: float(next(clock))).state()
    assert 3 <= len(naps) <= 8


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_does_not_do_is_bad_input_and_never_shown(status: int) -> None:
    with misbehaving(problem(status, "no such token")) as server:
        with pytest.raises(BadInput, match=f"shop: {status} no such token") as refused:
            client(server.url).state()
    assert refused.value.hint == "SHOP_TOKEN must hold a token that the service allows to do this"
    assert TOKEN not in f"{refused.value!r} {refused.value.hint} {client(server.url)!r}"


def test_another_contract_is_bad_input_and_both_are_named() -> None:
    with misbehaving(problem(409, f"this service has contract {'d' * 64}")) as server:
        with pytest.raises(BadInput) as refused:
            client(server.url).periods()
    assert "d" * 64 in str(refused.value)
    assert "c" * 64 in str(refused.value)
    assert "deploy the service" in refused.value.hint


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadInput),
        (404, BadInput),
        (413, BadInput),
        (422, BadInput),
        (302, BadInput),
        (500, Unavailable),
        (507, Unavailable),
    ],
)
def test_every_other_answer_has_an_end_of_its_own(status: int, error: type[Exception]) -> None:
    with misbehaving(problem(status, "because", Location="http://127.0.0.1:9/elsewhere")) as server:
        with pytest.raises(error, match=str(status)):
            client(server.url).state()
    assert len(server.asked) == 1, "no redirect is followed: the token would go along"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'"text"',
        b"{}",
        b'{"periods": 7}',
        b'{"periods": [{"period": "../../etc", "rows": 1}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_who_answers_like_something_else_is_bad_input(body: bytes) -> None:
    with misbehaving((200, {}, body)) as server:
        with pytest.raises(BadInput, match="answers like no collection service"):
            client(server.url).periods()


def test_an_endless_answer_is_cut() -> None:
    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" " * (1 << 20))
        except OSError:
            pass
        handler.close_connection = True

    with misbehaving(endless) as server:
        with pytest.raises(BadInput, match="more than"):
            client(server.url).state()


@pytest.mark.parametrize("pause_s", [3.0, 0.1])
def test_a_dripping_answer_is_cut(pause_s: float) -> None:
    def dripping(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            for _ in range(int(6 / pause_s)):
                handler.wfile.write(b" ")
                time.sleep(pause_s)
        except OSError:
            pass
        handler.close_connection = True

    began = time.monotonic()
    with misbehaving(dripping) as server:
        with pytest.raises(Unavailable):
            client(server.url, timeout_s=0.3, whole_s=3.0).state()
    assert time.monotonic() - began < 7


ETAG = {"ETag": f'"{HELD.digest}"'}


def test_a_period_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a" / "p.parquet"
    with misbehaving((200, ETAG, b"rows")) as server:
        assert client(server.url).save(HELD, target, 100)
        assert target.read_bytes() == b"rows"
        assert server.asked[0][1] == "/v1/shop/periods/2024-03/records.parquet"
        with pytest.raises(BadInput, match="more than 3 bytes"):
            client(server.url).save(HELD, target, 3)
    assert [path.name for path in target.parent.iterdir()] == ["p.parquet"]
    assert target.read_bytes() == b"rows"


def test_a_body_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    with misbehaving((200, {**ETAG, "Content-Length": "400", "Connection": "close"}, b"rows")) as server:
        with pytest.raises(Unavailable):
            client(server.url, timeout_s=0.5).save(HELD, tmp_path / "p.parquet", 1000)
    assert list(tmp_path.iterdir()) == []


def test_other_rows_than_were_listed_are_left(tmp_path: Path) -> None:
    with misbehaving((200, {"ETag": '"' + "b" * 64 + '"'}, b"rows")) as server:
        assert not client(server.url).save(HELD, tmp_path / "p.parquet", 100)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "127.0.0.1:80",
        "http://",
        "http://me:pass@x",
        "http://x/?a=1",
        "http://x:99999",
        "http://x:",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_said_without_what_is_secret_in_it(url: str) -> None:
    with pytest.raises(BadInput, match="no address") as refused:
        address(url)
    assert "pass@" not in str(refused.value)


def test_a_netrc_does_not_take_the_place_of_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with misbehaving(RECEIPT) as server:
        client(server.url).send("records", [{}])
        client(server.url, token="").send("records", [{}])
    assert server.asked[0][2]["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in server.asked[1][2]
