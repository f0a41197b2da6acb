from __future__ import annotations

import threading
from datetime import date
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from ci.collecting import contracts
from ci.contract import Contract as Source
from ci.data.periods import following, name_of
from ci.errors import BadInput
from ci.params import parse as parse_params
from collector import contract, disk, moments, periods, settings, tokens, writer
from collector.answers import as_csv
from collector.errors import Full, StoreError, Unreachable
from collector.load import Load
from collector.sensitive import Guard
from collector.store.interface import Day
from serving.errors import BadOption
from serving.problems import Problem
from tests.unit.collector import shop

DAY = moments.DAY_US


@pytest.mark.parametrize("length", ["day", "week", "month", "year"])
@pytest.mark.parametrize(
    "day", [date(2013, 12, 31), date(2014, 1, 1), date(2016, 2, 29), date(2020, 12, 31), date(1969, 7, 20)]
)
def test_periods_are_named_as_the_pipeline_names_them(length, day):
    number = (day - date(1970, 1, 1)).days
    name = moments.period_of(number, length)
    assert name == name_of(day, length)
    start, end = moments.bounds(name)
    assert start <= number * DAY < end
    assert moments.iso(end)[:10] == following(day, name).isoformat()


@pytest.mark.parametrize("name", ["", "..", "2014-13", "2014-W54", "2014-02-30", "0000", "all", "2014-1", "２０１４"])
def test_other_names_are_no_periods(name):
    assert moments.bounds(name) is None


def test_days_become_periods():
    days = [Day(0, 5, 10, 1), Day(1, 2, 20, 3), Day(31, 1, 30, 1), Day(40, 0, 99, 2)]
    assert periods.spans(days, shop.contract()) == [periods.Span("1970-01", 7, 4), periods.Span("1970-02", 1, 3)]
    assert periods.watermark(days, shop.contract()) == 30
    assert periods.spans(days, shop.contract(event_time=None)) == [periods.Span("all", 8, 7)]


@pytest.mark.parametrize(("newest", "settled"), [(None, False), (33 * DAY - 1, False), (33 * DAY, True)])
def test_a_period_settles_once_the_watermark_is_past_the_lateness(newest, settled):
    assert periods.settled("1970-01", shop.contract(), newest) is settled


def test_cells_that_look_like_formulas_are_disarmed():
    told = [{"id": 1, "kind": "records", "received": "x", "sender": "=me", "reasons": [{"field": "@a", "reason": "b"}],
             "record": " =1+1"}, {"id": 2, "kind": "records", "received": "x", "sender": "-", "reasons": [], "record": "\t=1"}]  # fmt: skip
    rows = as_csv(told).decode().splitlines()
    assert rows[1] == "1,records,x,'=me,'@a b,' =1+1"
    assert rows[2].startswith("2,records,x,'-,,\"'\t=1" if '"' in rows[2] else "2,records,x,'-,,'\t=1")


def write(path, *lines: str):
    path.write_text("\n".join(lines))
    return path


def test_tokens_and_scopes(tmp_path):
    digest = sha256(b"t").hexdigest()
    found = tokens.Tokens.load(write(tmp_path / "t", "# people", f"door send:shop,read {digest} # front door", ""))
    assert found.check(b"Bearer t", "send", "shop").name == "door"
    assert found.check(b"bearer t", "read", None).name == "door"
    for authorization, scope, project, status in ((b"", "read", None, 401), (b"Bearer x", "read", None, 401),
                                                  (b"Basic t", "read", None, 401), (b"Bearer t", "send", "other", 403),
                                                  (b"Bearer t", "correct", "shop", 403)):  # fmt: skip
        with pytest.raises(Problem) as problem:
            found.check(authorization, scope, project)
        assert problem.value.status == status


@pytest.mark.parametrize("line", ["door send", "door fly " + "a" * 64, "door send xyz", "do/or send " + "a" * 64, ""])
def test_lines_that_are_no_tokens(tmp_path, line):
    with pytest.raises(BadOption):
        tokens.Tokens.load(write(tmp_path / "t", line))


def test_a_token_is_made_and_only_its_digest_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLLECTOR_TOKENS", str(tmp_path / "tokens"))
    assert tokens.main(["door", "send,read:shop"]) == 0
    token = capsys.readouterr().out.strip()
    assert token not in (tmp_path / "tokens").read_text()
    assert tokens.Tokens.load(tmp_path / "tokens").check(f"Bearer {token}".encode(), "send", "shop").name == "door"
    assert tokens.main(["door", "fly"]) == 2
    assert tokens.main([]) == 2


@pytest.mark.parametrize(("changes", "said"), [
    ({"project": "other"}, "is not the file's name"),
    ({"keys": ["nothing"]}, "nothing is named, but not there"),
    ({"event_time": "price"}, "price is not a datetime"),
    ({"schema_version": 2}, "Invalid enum value 2"),
    ({"columns": {**shop.DOCUMENT["columns"], "row": {"type": "integer", "role": "after"}}}, "row is a word of outcomes"),
    ({"columns": {**shop.DOCUMENT["columns"], "price": {"type": "number", "sensitive": "drop"}}}, "price: sensitive"),
    ({"columns": {**shop.DOCUMENT["columns"], "till": {"type": "integer", "role": "meta", "sensitive": "hash"}}}, "only a string"),
])  # fmt: skip
def test_contracts_that_cannot_be_used(tmp_path, changes, said):
    (tmp_path / "shop.json").write_bytes(msgspec.json.encode(shop.document(**changes)))
    with pytest.raises(BadOption, match=said):
        contract.load_all(tmp_path)


def test_the_pipeline_writes_what_the_service_reads(tmp_path):
    from ci.project import find

    result = contracts.write([find("flights"), find("houses")], tmp_path)
    found = contract.load_all(tmp_path)
    assert list(found) == ["flights", "houses"]
    assert found["flights"].digest == result.facts["flights"]
    assert list(found["flights"].columns) == list(find("flights").contract.columns)
    assert found["flights"].lateness_days == find("flights").params.source.lateness_days


@pytest.mark.parametrize(("column", "said"), [
    ({"type": "string", "sensitive": "hash"}, "a feature is needed as it is"),
    ({"type": "string", "role": "meta", "sensitive": "drop"}, "set nullable: true"),
    ({"type": "integer", "role": "meta", "sensitive": "hash"}, "only a string"),
    ({"type": "string", "role": "meta", "sensitive": "hash", "max_length": 8}, "max_length from 37 on"),
])  # fmt: skip
def test_columns_that_cannot_be_hidden(column, said):
    with pytest.raises(BadInput, match=said):
        parse_params(Source, source(column), "contract.yaml")


def source(column: dict[str, Any]) -> dict[str, Any]:
    columns = {"a": {"type": "number"}, "y": {"type": "number", "role": "target"}, "x": column}
    return {"description": "d", "owner": "o", "task": "regression", "target": "y", "columns": columns}


def test_a_contract_without_sensitive_columns_spells_as_it_always_did():
    found = parse_params(Source, source({"type": "string", "role": "meta"}), "c")
    hidden = parse_params(Source, source({"type": "string", "role": "meta", "sensitive": "hash"}), "c")
    assert "sensitive" not in found.model_dump(mode="json")["columns"]["x"]
    assert hidden.model_dump(mode="json")["columns"]["x"]["sensitive"] == "hash"


def test_equal_values_of_two_columns_hash_apart():
    guard = Guard(shop.contract(), shop.HASH_KEY)
    assert guard.hash("card", "1") == guard.hash("card", "1") != guard.hash("note", "1")
    assert Guard(shop.contract(), shop.HASH_KEY + "!").hash("card", "1") != guard.hash("card", "1")


def test_settings_come_from_options_then_environment():
    found = settings.parse(
        ["--port", "1"], {"COLLECTOR_PORT": "2", "COLLECTOR_HOST": "::1", "COLLECTOR_STORE": "sqlite:///a/b.db"}
    )
    assert (found.port, found.host, str(found.folder)) == (1, "::1", "a/b.parquet")
    for environ in ({"COLLECTOR_STORE": "x"}, {"COLLECTOR_PORT": "70000"}, {"COLLECTOR_BODY_TIMEOUT_S": "nan"},
                    {"COLLECTOR_LOG_LEVEL": "loud"}, {"COLLECTOR_STORE_FILE": "/nowhere"}):  # fmt: skip
        with pytest.raises(BadOption, match=next(iter(environ))):
            settings.parse([], environ)


class Memory:
    """A store of which only transactions are looked at."""

    identity = "memory"

    def __init__(self, fault: Exception | None = None) -> None:
        self.groups: list[int] = []
        self.fault, self.gate = fault, threading.Event()

    def write(self, work):
        self.gate.wait(5)
        if self.fault:
            raise self.fault
        done: list[int] = []
        work(done)
        self.groups.append(len(done))

    def size(self) -> int:
        return 30 * 2**20


def test_what_waits_is_written_together():
    store = Memory()
    one = writer.Writer(store, 100)  # type: ignore[arg-type]
    asked = [one.ask(lambda done, n=n: done.append(n) or n, 1) for n in range(20)]
    store.gate.set()
    assert [future.result(5) for future in asked] == list(range(20))
    assert sum(store.groups) == 20
    assert len(store.groups) <= 2
    one.close(5)
    with pytest.raises(writer.Busy):
        one.ask(lambda _: None, 1)


def test_too_much_waiting_is_busy():
    store = Memory()
    one = writer.Writer(store, 10)  # type: ignore[arg-type]
    one.ask(lambda _: None, 8)
    with pytest.raises(writer.Busy):
        one.ask(lambda _: None, 8)
    store.gate.set()
    one.close(5)


def test_one_fault_does_not_take_the_others_along():
    store = Memory()
    one = writer.Writer(store, 100)  # type: ignore[arg-type]
    one.ask(lambda _: None, 1)  # holds the writer until all others wait
    good, bad, other = (one.ask(work, 1) for work in (lambda _: 1, lambda _: 1 / 0, lambda _: 2))
    store.gate.set()
    assert (good.result(5), other.result(5)) == (1, 2)
    with pytest.raises(Unreachable):
        bad.result(5)
    one.close(5)


def test_what_the_store_refuses_is_told_to_all():
    store = Memory(Full("full"))
    one = writer.Writer(store, 100)  # type: ignore[arg-type]
    asked = [one.ask(lambda _: None, 1) for _ in range(3)]
    store.gate.set()
    for future in asked:
        with pytest.raises(StoreError):
            future.result(5)
    one.close(5)


def test_room_is_counted_before_it_is_gone(tmp_path):
    environ = {
        "COLLECTOR_STORE": f"sqlite:///{tmp_path}/x.db",
        "COLLECTOR_MAX_DISK_MB": "50",
        "COLLECTOR_MIN_FREE_MB": "0",
    }
    found = disk.Disk(settings.parse([], environ), Memory())  # type: ignore[arg-type]
    found.look()
    found.room(10)
    with pytest.raises(Full, match="30 of the 50 MB"):
        found.room(4 * 2**20)
    tight = settings.parse([], environ | {"COLLECTOR_MIN_FREE_MB": "100000000", "COLLECTOR_MAX_DISK_MB": "0"})
    crowded = disk.Disk(tight, Memory())  # type: ignore[arg-type]
    crowded.look()
    with pytest.raises(Full, match="are kept free"):
        crowded.room(0)


def test_the_service_loads_neither_models_nor_the_pipeline():
    import ast
    from pathlib import Path

    known = {
        "serving.draining",
        "serving.errors",
        "serving.healthcheck",
        "serving.listening",
        "serving.log",
        "serving.metrics",
        "serving.options",
        "serving.problems",
        "serving.protocol",
        "serving.wire",
        "serving",
    }
    for file in Path("collector").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("serving"):
                assert node.module in known, file


def test_deliveries_share_what_memory_there_is():
    load = Load(100)
    with load.share() as one:
        one.take(150)  # alone it may
        with load.share() as other, pytest.raises(Problem, match="too many large bodies"):
            other.take(1)
    with load.share() as one, load.share() as other:
        one.take(60)
        other.take(40)
        with pytest.raises(Problem):
            one.take(1)
    with load.share() as one:
        one.take(100)


def test_what_killed_processes_left_is_removed_once_it_is_old(tmp_path):
    from collector.compact import tidy

    for name in (".2014-01.7.part", "2014-01.json"):
        (tmp_path / name).touch()
    tidy(tmp_path, 0)
    assert len(list(tmp_path.iterdir())) == 2
    tidy(tmp_path, 10**12)
    assert [file.name for file in tmp_path.iterdir()] == ["2014-01.json"]
