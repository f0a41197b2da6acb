"""Publishing: once for the same rows, never for rejected ones, and to its end wherever it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from ci.errors import BadInput
from ci.ledger.interface import Quicker
from tests import shop
from tests.unit.publishing.world import Killed, World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World()


def test_the_first_version_is_pushed_committed_and_registered(world):
    world.deliver(3)
    result = world.publish()
    assert result.outcome == "passed"
    assert world.tags() == ["shop-data@v1.0.0"]
    assert world.store.pushed == 1
    tree = world.branch.trees[world.branch.at]
    assert yaml.safe_load(tree["projects/shop/params.yaml"])["as_of"] == "2024-04-01"
    assert set(yaml.safe_load(tree["dvc.lock"])["stages"]) == {
        "train@other",
        "ingest@shop",
        "check_data@shop",
        "prepare@shop",
    }
    assert tree["message"].endswith("\nSlipway-Data: shop-data@v1.0.0\n")
    assert "Published by ann: it is time. [skip ci]" in tree["message"]
    (event,) = world.ledger.history("shop-data").trusted().events
    record = json.loads(tree["datasets/shop/version.json"])["record"]
    assert (event.data.model_dump(mode="json"), event.commit) == (record, world.branch.at)
    assert (record["rows"], record["last"], record["as_of"]) == (900, "2024-03", "2024-04-01")
    assert set(event.evidence) == {"card", "check"}


def test_the_same_rows_never_get_a_second_version(world):
    world.deliver(3)
    world.publish()
    before = world.branch.at
    result = world.publish()
    assert "shop-data@v1.0.0 has these rows already" in result.message
    assert result.data["moved"] is False
    world.deliver(3, as_of="2024-04-02", frame=shop.visits(3))  # a day passes, and nothing has arrived but an empty day
    assert "shop-data@v1.0.0 has these rows already" in world.publish().message
    assert (world.branch.at, world.tags()) == (before, ["shop-data@v1.0.0"])


def test_a_new_month_is_minor_a_restatement_alone_a_patch_a_lost_month_major(world):
    world.deliver(3)
    world.publish()
    world.deliver(4)
    assert "minor: 2024-04 arrived" in world.publish().message
    frame = shop.visits(4)
    frame.loc[frame["at"] < "2024-02", "age"] += 1
    world.deliver(4, frame=frame)
    assert "patch: 2024-01 restated" in world.publish().message
    assert [(former.version, proposal.version) for former, proposal in world.cards[1:]] == [
        ("1.0.0", "1.1.0"),
        ("1.1.0", "1.1.1"),
    ]
    assert world.tags() == ["shop-data@v1.0.0", "shop-data@v1.1.0", "shop-data@v1.1.1"]


def test_rows_of_an_older_version_come_back_as_what_they_are(world):
    world.deliver(4)
    world.publish()
    frame = shop.visits(4)
    frame.loc[0, "age"] += 1
    world.deliver(4, frame=frame)
    world.publish()
    world.deliver(4, frame=shop.visits(4))
    result = world.publish()
    assert "these rows are those of shop-data@v1.0.0 again; shop-data@v1.0.1 is the newest" in result.checks[0].message
    assert world.tags() == ["shop-data@v1.0.0", "shop-data@v1.0.1"]


def test_a_rejected_delivery_changes_nothing_and_is_told_with_rows(world):
    world.deliver(3)
    world.publish()
    before = dict(vars(world.branch))
    frame = shop.visits(4)
    frame.loc[[1000, 1001], "age"] = -1
    world.deliver(4, frame=frame)
    result = world.publish()
    assert (result.outcome, result.outcome.exit_code) == ("rejected", 3)
    assert "age is below 0 in 2 of 1,200 rows" in result.message
    assert "shop-data@v1.0.0 stays the newest version; shop@example.org is told" in result.hint
    assert result.data["details"][1] == f"  such as id 1000, at {frame['at'][1000]}, age -1"
    assert vars(world.branch) == before
    assert world.tags() == ["shop-data@v1.0.0"]


def test_a_change_that_may_be_meant_comes_with_the_lines_that_accept_it(world):
    world.deliver(3)
    world.publish()
    frame = shop.visits(4)
    frame.loc[1000, "age"] = -1
    world.deliver(4, frame=frame)
    report = Path("reports/shop/check_data.json")
    said = json.loads(report.read_text())
    said["data"]["contract_patch"] = 'accepted:\n  - {period: "2024-04"}'
    report.write_text(json.dumps(said))
    (table,) = [table for table in world.publish().tables if table.title.startswith("To accept")]
    assert table.rows == [("accepted:",), ('  - {period: "2024-04"}',)]


@pytest.mark.parametrize(
    "wrong",
    [{"age": "old"}, {"age": None}, {"back": "yes"}, {"spent": float("inf")}, {"id": 1}],
    ids=str,
)
def test_however_wrong_a_delivery_is_its_card_can_be_drawn(world, wrong, tmp_path):
    world.deliver(3)
    world.publish()
    frame = shop.visits(4).astype(object)
    late = frame["at"] >= "2024-04"
    for name, value in wrong.items():
        frame.loc[late, name] = value
    world.deliver(4, frame=frame)
    world.real = True
    result = world.publish()
    assert result.outcome == "rejected"
    assert len(result.pictures) == 3
    text = (tmp_path / "reports/shop/data_card/README.md").read_text()
    assert text.startswith("# shop, delivered as of 2024-05-01 (rejected)\n")
    assert "| rejected |" in text
    assert "load_data" not in text


@pytest.mark.parametrize("verdict", ["none", "another"])
def test_rows_that_nobody_has_checked_are_not_published(world, verdict):
    world.deliver(3, check=verdict == "another")
    if verdict == "another":
        world.deliver(4, check=False)
    result = world.publish()
    assert result.outcome == "rejected"
    assert "nobody has checked these rows" in result.message
    assert world.tags() == []


STOPS = {
    "before the bytes": (lambda world: (world.store, "push"), 0),
    "before the commit": (lambda world: (world.branch, "commit"), 0),
    "before the push": (lambda world: (world.branch, "push"), 0),
    "before the ledger": (lambda world: (world.ledger, "register_data"), 0),
}


@pytest.mark.parametrize("stop", STOPS)
def test_killed_anywhere_the_next_run_goes_on(world, stop, monkeypatch):
    world.deliver(3)
    thing, name = STOPS[stop][0](world)

    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(thing, name, killed)
        with pytest.raises(Killed):
            world.publish()
    committed = world.branch.at
    assert (committed is None) is (stop != "before the ledger")
    world.publish()
    assert world.tags() == ["shop-data@v1.0.0"]
    assert committed in {None, world.branch.at}  # what was committed is registered, and not committed again
    assert world.ledger.history("shop-data").trusted().events[0].commit == world.branch.at


def test_killed_before_the_ledger_and_overtaken_by_newer_rows(world, monkeypatch):
    world.deliver(3)
    with monkeypatch.context() as patch:
        patch.setattr(world.ledger, "register_data", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            world.publish()
    world.deliver(4)
    world.publish()
    (event,) = world.ledger.history("shop-data").events
    assert (event.data.last, event.data.version) == ("2024-04", "1.0.0")


def test_commits_of_others_are_kept_and_their_data_win(world):
    world.deliver(3)
    world.branch.at = world.branch.head
    world.branch.before_push = lambda: world.branch.other(code__py=b"new code")
    world.publish(shared=True)
    tree = world.branch.trees[world.branch.at]
    assert tree["code/py"] == b"new code"
    published = tree["datasets/shop/version.json"]
    world.deliver(4)
    changed = json.loads(published)
    changed["record"]["rows"] = 7
    world.branch.before_push = lambda: world.branch.other(
        datasets__shop__version__json=b"", **{"datasets__shop__version.json": json.dumps(changed).encode()}
    )
    with pytest.raises(Quicker, match="somebody else was quicker: it has another data version of shop now"):
        world.publish(shared=True)


@pytest.mark.parametrize(("shared", "outcome"), [(True, "not part of"), (False, None)])
def test_commits_that_others_do_not_know_get_to_ones_own_branch_alone(world, shared, outcome):
    world.deliver(3)
    world.branch.trees["c9"] = dict(world.branch.trees[world.branch.head])
    world.branch.at = "c9"
    if outcome:
        with pytest.raises(BadInput, match=outcome):
            world.publish(shared=shared)
        return
    world.publish(shared=shared)
    assert world.branch.parents[world.branch.at] == ("c9", world.branch.head)


def test_a_dry_run_says_what_it_would_be_and_pushes_nothing(world):
    world.deliver(3)
    result = world.publish(dry_run=True)
    assert "would publish shop-data@v1.0.0 to data/shop in memory: the first version" in result.message
    assert (world.store.pushed, world.branch.at, world.tags()) == (0, None, [])


def unlocked(world):
    world.store.stale = ["ingest@shop"]


def loose(world):
    world.branch.loose = ["projects/shop/contract.yaml"]


def other_gate(world):
    world.params |= {"check": {"min_rows": 51}}


def other_contract(world):
    world.contract = {"columns": {"age": {"maximum": 121}}}


def other_day(world):
    world.params |= {"as_of": "2024-04-02"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (unlocked, "dvc.lock: says something else than what lies here (ingest@shop)"),
        (loose, "projects/shop/contract.yaml: not as committed"),
        (other_gate, "projects/shop/params.yaml: check: not as committed"),
        (other_contract, "data/raw: read under another contract"),
        (other_day, "data/raw: as of 2024-04-01, projects/shop/params.yaml says 2024-04-02"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_its_commit_would_not_make_again_is_not_published(world, spoil, said):
    world.deliver(3)
    spoil(world)
    with pytest.raises(BadInput) as caught:
        world.publish()
    assert str(caught.value).startswith(said)
    assert (world.store.pushed, world.tags()) == (0, [])


def test_what_is_known_does_not_become_unknown(world):
    world.deliver(4)
    world.publish()
    world.deliver(3, frame=shop.visits(3, seed=np.random.default_rng(1).integers(9)))
    with pytest.raises(BadInput, match=r"as_of 2024-04-01: shop-data@v1.0.0 is as of 2024-05-01 already"):
        world.publish()
