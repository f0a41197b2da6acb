"""The parts of publishing that are functions: versions, files, what a build may skip, promises, the list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ci.errors import BadInput
from ci.ledger.event import Kind
from ci.publishing import moved
from ci.publishing.freshness import fresh, moment
from ci.publishing.listing import in_terminal, listing
from ci.publishing.skipping import Since, news
from ci.publishing.versions import Described, PeriodRows, propose
from ci.releases.dataset import DataVersion, dataset_of
from ci.templating import in_markdown
from ci.yaml import mapping
from tests import shop
from tests.releases import MemoryLedger, git_id, release
from tests.unit.publishing.world import DataLedger

NOW = datetime(2024, 5, 10, tzinfo=UTC)


def contract(**columns):
    base = {"age": {"type": "integer", "role": "feature", "nullable": False, "maximum": 120},
            "spent": {"type": "number", "role": "feature", "nullable": False, "maximum": None}}  # fmt: skip
    made = {
        name: {**base.get(name, {}), **change} for name, change in {**base, **columns}.items() if change is not None
    }
    return {"columns": made, "event_time": "at", "keys": ["id"], "target": "back"}


def rows(names="1 2 3", /, said=None, **digests):
    periods = [
        PeriodRows(period=f"2024-{int(name):02d}", rows=10, sha256=digests.get(f"p{name}", name) * 64,
                   closed=name != "3", newest=f"2024-{int(name):02d}-{20 if digests.get(f'p{name}') else 10}T00:00:00")
        for name in names.split()
    ]  # fmt: skip
    return Described(contract=said or contract(), periods=periods)


@pytest.mark.parametrize(
    ("now", "version", "why"),
    [
        (rows("1 2 3 4"), "1.3.0", "minor: 2024-04 arrived"),
        (rows(p3="a"), "1.3.0", "minor: 2024-03 arrived"),  # the open period has grown
        (rows(p1="a"), "1.2.4", "patch: 2024-01 restated"),
        (rows(p1="a", p3="b"), "1.3.0", "minor: 2024-03 arrived"),
        (rows("2 3"), "2.0.0", "major: 2024-01 is gone"),
        (rows(said=contract(spent=None)), "2.0.0", "major: spent is gone"),
        (rows(said=contract(age={"type": "number"})), "2.0.0", "major: age is number, was integer"),
        (rows(said=contract(age={"nullable": True})), "2.0.0", "major: age may be missing now"),
        (rows(said=contract() | {"keys": ["id", "at"]}), "2.0.0", "major: keys is id, at, was id"),
        (rows(said=contract(town={"type": "string"})), "1.3.0", "minor: the contract says more: town is new"),
        (rows(said=contract(age={"maximum": 130})), "1.3.0", "minor: the contract says more: age: maximum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_version_says_what_a_reader_has_to_expect(now, version, why):
    proposal = propose(now, rows(), "1.2.3")
    assert (proposal.version, proposal.why) == (version, why)
    assert now.content != rows().content


def test_the_first_version_and_what_content_is_about():
    assert propose(rows(), None, None).version == "1.0.0"
    assert rows().content == rows().content
    assert rows(said=contract(age={"maximum": 130})).content != rows().content


def test_one_projects_data_stages_move_and_nothing_else():
    ours = b"schema: '2.0'\nstages:\n  ingest@a: {cmd: new}\n  check_data@a: {cmd: new}\n  prepare@a: {cmd: new}\n  train@a: {cmd: half}\n  ingest@b: {cmd: half}\n"
    base = b"schema: '2.0'\nstages:\n  ingest@a: {cmd: old}\n  train@a: {cmd: old}\n  ingest@b: {cmd: old}\n"
    made = mapping(moved.lock_of(base, ours, "a"), "")["stages"]
    assert {name: stage["cmd"] for name, stage in made.items()} == {
        "ingest@a": "new", "check_data@a": "new", "prepare@a": "new", "train@a": "old", "ingest@b": "old",
    }  # fmt: skip
    assert set(mapping(moved.lock_of(None, ours, "a"), "")["stages"]) == {"ingest@a", "check_data@a", "prepare@a"}
    with pytest.raises(BadInput, match=r"dvc.lock: knows no ingest@c"):
        moved.lock_of(base, ours, "c")
    with pytest.raises(BadInput, match=r"dvc.lock: not YAML"):
        moved.lock_of(base, b"a: [", "a")


PARAMS = b'as_of: "2024-01-01"\nsource: {a: 1}\ngate: {x: 1}\n'


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (None, "nobody knows what was built before"),
        (Since([], [], {}), "the same commit is built again"),
        (Since(["Data\n\nSlipway-Data: a-data@v1.0.0", "fix"], ["dvc.lock"], {}), "not every commit since the last build publishes data"),
        (Since(["Data\n\nSlipway-Data: a-data@v1.0.0"], ["dvc.lock", "ci/cli.py"], {}), "a commit that publishes data has changed ci/cli.py, too"),
        (Since(["Data\n\nSlipway-Data: a-data@v1.0.0"], ["projects/a/params.yaml"],
               {"projects/a/params.yaml": (PARAMS, PARAMS.replace(b"x: 1", b"x: 2"))}),
         "a commit that publishes data has changed more in projects/a/params.yaml than as_of and source"),
    ],
)  # fmt: skip
def test_in_doubt_there_is_news(since, told):
    result = news(since, ["a", "b"])
    assert (result.message, result.data["projects"]) == (told, ["a", "b"])


def test_published_data_alone_are_no_news():
    params = {"projects/a/params.yaml": (PARAMS, PARAMS.replace(b"2024-01-01", b"2024-02-01"))}
    paths = ["dvc.lock", "datasets/a/README.md", "datasets/a/periods.png", "projects/a/params.yaml"]
    since = Since(["Data\n\nSlipway-Data: a-data@v1.0.0\n", "Data\n\nSlipway-Data: a-data@v1.1.0\n"], paths, params)
    result = news(since, ["a"])
    assert result.message == "nothing but published data: a-data@v1.0.0, a-data@v1.1.0"
    assert result.data["projects"] == []


def version(number="1.0.0", **changes):
    values = {"project": "shop", "version": number, "data_version": "d" * 64, "content": "c" * 64, "contract": "b" * 64,
              "as_of": "2024-05-01", "first": "2024-01", "last": "2024-04", "periods": 4, "rows": 40,
              "watermark": "2024-04-30T12:00:00", "raw": "e" * 32 + ".dir", "verdict": "passed", "check": "f" * 64}  # fmt: skip
    return DataVersion(**{**values, **changes})


def held(tmp_path, promise, record, described, now=NOW):
    return fresh(shop.shop(tmp_path, params={"freshness": promise} if promise else {}), record, described, now)


CLOSED = [("01", True), ("02", True), ("03", True), ("04", True)]


def periods(items):
    made = [
        PeriodRows(period=f"2024-{name}", rows=10, sha256="a" * 64, closed=closed, newest=f"2024-{name}-20T00:00:00")
        for name, closed in items
    ]
    return Described(contract=contract(), periods=made)


@pytest.mark.parametrize(
    ("promise", "record", "there", "code", "said"),
    [
        (None, version(), CLOSED, 0, "nothing is promised"),
        ({"max_age_days": 10}, version(), CLOSED, 0, "the newest row of shop-data@v1.0.0 is 9.5 days old"),
        ({"max_age_days": 9}, version(), CLOSED, 3, "is 9.5 days old, promised are 9"),
        ({"max_age_days": 10}, None, None, 3, "no data version was published"),
        ({"max_age_days": 10}, version(watermark=None), CLOSED, 3, "its rows have no event time"),
        ({"max_age_days": 10}, version(), [*CLOSED[:1], *CLOSED[2:]], 3, "2 of 3 periods that are due are there: 2024-02 missing"),
        ({"max_age_days": 10, "completeness": 0.6}, version(), [*CLOSED[:1], *CLOSED[2:]], 0, "9.5 days old"),
        ({"max_age_days": 9}, version(watermark="2024-05-09T00:00:00"), [*CLOSED[:3], ("04", False)], 3, "2024-04 missing"),
        ({"max_age_days": 10}, version(watermark="2024-06-01T00:00:00"), CLOSED, 0, "later than this clock"),
    ],
)  # fmt: skip
def test_a_promise_is_kept_or_breached_and_no_data_never_keep_it(tmp_path, promise, record, there, code, said):
    result = held(tmp_path, promise, record, periods(there) if there else None)
    assert result.outcome.exit_code == code
    assert said in result.message
    assert result.data["moved"] is (code == 3)


def test_years_without_an_era_are_not_missed(tmp_path):
    eras = [{**shop.PARAMS["source"]["eras"][0], "end": "2024-05-01"}]
    project = shop.shop(tmp_path, params={"source": {"eras": eras}, "freshness": {"max_age_days": 3000}})
    later = NOW + timedelta(days=3600)
    result = fresh(project, version(watermark=later.isoformat()), periods(CLOSED), later)
    assert result.outcome.exit_code == 0, result.message

    taken_over = {"eras": eras, "collector": {"since": "2024-05-01"}}
    project = shop.shop(tmp_path, params={"source": taken_over, "freshness": {"max_age_days": 3000}})
    result = fresh(project, version(watermark=later.isoformat()), periods(CLOSED), later)
    assert "4 of 23 periods that are due are there" in result.message, "the service goes on where the eras end"


def test_now_may_be_a_day_or_a_moment():
    assert moment("2013-08-01", NOW) == datetime(2013, 8, 1, tzinfo=UTC)
    assert moment("2013-08-01T06:00+02:00", NOW) == datetime(2013, 8, 1, 4, tzinfo=UTC)
    assert moment(None, NOW) is NOW
    with pytest.raises(BadInput, match=r"--now: 'soon' is no moment"):
        moment("soon", NOW)


def test_the_list_names_versions_consumers_and_ways():
    from ci.ledger.interface import By

    data, releases = DataLedger(), MemoryLedger()
    for number, digest in (("1.9.0", "a"), ("1.10.0", "b")):
        data.register_data(version(number, data_version=digest * 64), git_id(number), By("ann"), {})
    for number, digest in (("1.0.0", "a"), ("1.1.0", "b"), ("1.2.0", "b")):
        releases.register(release(number, project="shop", data_version=digest * 64), By("ann"))
    record = releases.history("shop").release("1.1.0")
    from ci.ledger.event import drafted

    releases.add(drafted(record, kind=Kind.ASSIGNED, environment="production", actor="ann", how="promoted"))
    found = {"shop": (data.history(dataset_of("shop")), releases.history("shop"))}
    result = listing(found, NOW, "https://git.example/shop.git")
    newest, former = result.data["projects"]["shop"]
    assert (newest["name"], former["name"]) == ("shop-data@v1.10.0", "shop-data@v1.9.0")
    assert newest["consumers"] == ["shop@v1.1.0 (live in production)", "shop@v1.2.0"]
    assert (newest["age_days"], former["consumers"]) == (9.5, ["shop@v1.0.0"])
    assert "dvc get --rev shop-data@v1.10.0 https://git.example/shop.git data/shop/raw" in in_terminal(result)
    empty = listing({"shop": (DataLedger().history("shop-data"), releases.history("shop"))}, NOW, ".")
    assert empty.message == "no data version was published yet"


def test_texts_stay_within_their_cell():
    assert in_markdown("a|b\n<script>[x](y) `c`") == r"a\|b \<script\>\[x\](y) \`c\`"


def test_a_reason_stands_on_one_line_and_forges_no_trailer():
    from types import SimpleNamespace

    from ci.ledger.interface import By
    from ci.publishing.committing import _message

    record = SimpleNamespace(name="toy-data@v1.0.0", why="first", rows=1, first="a", last="b", as_of="c")
    desk = SimpleNamespace(by=By("ann", "late\n\nSlipway-Data: flights-data@v9.0.0"))
    said = _message(SimpleNamespace(record=record), desk)
    assert "Published by ann: late Slipway-Data: flights-data@v9.0.0. [skip ci]\n" in said
    assert [line for line in said.splitlines() if line.startswith("Slipway-Data: ")] == [
        "Slipway-Data: toy-data@v1.0.0"
    ]
