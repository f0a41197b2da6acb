"""Prepare: splits that do not know each other, labels that are ripe, leaks that are caught before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from ci.data import prepare as data_prepare
from ci.data.prepare import single_feature_scores
from ci.data.rows import conformed
from ci.data.split import by_hash
from ci.errors import BadInput, Outcome
from ci.files import read_json, sha256
from ci.report import Found
from tests import shop
from tests.unit.data.conftest import found

if TYPE_CHECKING:
    from tests.unit.data.conftest import Room


def sides(room: Room) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_parquet(room.prepared / "train.parquet"), pd.read_parquet(room.prepared / "test.parquet")


def split(**changes: Any) -> dict[str, Any]:
    return {"params": {"split": changes}}


def test_the_newest_days_are_held_out(room: Room) -> None:
    result = room.split(shop.visits())
    train, test = sides(room)
    assert result.outcome is Outcome.PASSED
    assert train["at"].max() < pd.Timestamp("2024-04-01") <= test["at"].min()
    assert len(train) + len(test) == 1200
    assert result.message == f"{len(train):,} rows to learn from, {len(test):,} to judge by"
    said = read_json(room.prepared / "split.json")
    assert said["cut"] == {
        "train_end": "2024-04-01T00:00:00",
        "test_start": "2024-04-01T00:00:00",
        "test_end": "2024-04-30T21:36:00.000001",
    }
    assert said["data_version"] == result.inputs["data version"]
    assert result.outputs == {
        str(room.prepared / name): sha256(room.prepared / name) for name in ("train.parquet", "test.parquet")
    }


def test_what_is_known_only_afterwards_is_not_handed_on(room: Room) -> None:
    room.split(shop.visits())
    for frame in sides(room):
        assert set(frame.columns) == {"age", "spent", "town", "member", "back", "at", "id"}


def test_a_gap_and_a_longest_history_leave_rows_out(room: Room) -> None:
    result = room.split(shop.visits(), **split(test_days=30, gap_days=7, train_days=30))
    train, test = sides(room)
    assert train["at"].min() >= pd.Timestamp("2024-02-24")
    assert train["at"].max() < pd.Timestamp("2024-03-25")
    assert test["at"].min() >= pd.Timestamp("2024-04-01")
    assert result.data["dropped"]["in the gap, before the history, or too young for a label"] == 1200 - len(
        train
    ) - len(test)


def test_rows_whose_label_is_not_ripe_are_not_judged(room: Room) -> None:
    room.split(shop.visits(), contract={"label_horizon_days": 10}, **split(test_days=20))
    train, test = sides(room)
    assert test["at"].max() < pd.Timestamp("2024-04-21")
    assert test["at"].min() >= pd.Timestamp("2024-04-01")
    assert train["at"].max() < pd.Timestamp("2024-04-01")


def test_rows_without_a_target_are_left_out(room: Room) -> None:
    frame = shop.visits()
    frame["back"] = frame["back"].astype(object).mask(frame.index % 10 == 0)
    result = room.split(frame)
    assert result.data["dropped"]["unknown target"] == 120
    assert all(side["back"].dtype == bool for side in sides(room))


def test_the_same_rows_make_the_same_bytes(room: Room) -> None:
    first = room.split(shop.visits()).outputs
    assert room.prepare().outputs == first


def by_group() -> dict[str, Any]:
    return {"contract": {"group": "who", "columns": {"who": {"type": "string", "role": "meta"}}}}


def regulars() -> pd.DataFrame:
    return shop.visits().assign(who=lambda rows: "w" + (rows["id"] % 150).astype(str))


@pytest.mark.parametrize("strategy", ["group", "time"])
def test_a_group_is_on_one_side_only(room: Room, strategy: str) -> None:
    frame = regulars()
    if strategy == "time":  # half of the customers stop in March
        frame = frame.drop(frame.index[(frame["at"] >= "2024-04") & (frame["id"] % 150 < 75)])
    result = room.split(frame, **by_group(), **split(strategy=strategy))
    train, test = sides(room)
    assert result.outcome is Outcome.PASSED
    assert not set(train["who"]) & set(test["who"])
    assert found(result, "groups on both sides").observed == 0
    if strategy == "time":
        assert result.data["dropped"]["older rows of a who in the test set"] == 900 - len(train)


def test_a_drawn_row_keeps_its_side_when_others_come_and_go(room: Room) -> None:
    room.split(shop.visits(), **split(strategy="random", test_share=0.25))
    _, before = sides(room)
    assert len(before) / 1200 == pytest.approx(0.25, abs=0.04)
    room.split(shop.visits().iloc[::2], **split(strategy="random", test_share=0.25))
    _, after = sides(room)
    assert set(after["id"]) == {number for number in before["id"] if number % 2 == 0}


def test_another_seed_draws_other_rows() -> None:
    frame = pd.DataFrame({"id": range(10_000)})
    drawn = [by_hash(frame, 0.2, seed) == "test.parquet" for seed in (0, 1, 2)]
    assert [side.mean() for side in drawn] == pytest.approx([0.2] * 3, abs=0.02)
    assert (drawn[0] & drawn[1]).mean() == pytest.approx(0.04, abs=0.01)
    assert (drawn[1] & drawn[2]).mean() == pytest.approx(0.04, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (split(strategy="group"), "split.strategy: group needs a `group` in the contract"),
        ({"contract": {"event_time": None, "cluster": None}, "params": {"source": {"eras": [{"name": "a", "tables": {"visits": {"kind": "file", "path": "rows.csv"}}}]}}}, "split.strategy: time needs an `event_time` in the contract"),
    ],
    ids=["group", "time"],
)  # fmt: skip
def test_a_strategy_that_cannot_work_is_bad_input(room: Room, changes: dict[str, Any], said: str) -> None:
    room.checked(shop.visits(), **changes)
    with pytest.raises(BadInput, match=f"^{said}$"):
        room.prepare(**changes)


def test_unchecked_data_is_not_split(room: Room) -> None:
    room.deliver(shop.visits())
    room.ingest()
    with pytest.raises(BadInput, match=r"check\.json: not there: the data was not checked, or did not pass$"):
        room.prepare()


def last_month(**columns: Any) -> pd.DataFrame:
    frame = shop.visits().astype({"back": object})
    for name, value in columns.items():
        frame.loc[frame["at"] >= "2024-04", name] = value
    return frame


REJECTED: dict[str, tuple[pd.DataFrame, dict[str, Any], str]] = {
    "nothing to learn from": (shop.visits(), split(test_days=300), "0 rows to learn from: train ends 2023-07-06 00:00, test is 2023-07-06 to 2024-04-30 21:36"),
    "nothing to judge by": (last_month(back=None), split(), "0 rows to judge by: train ends 2024-04-01 00:00, test is 2024-04-01 to 2024-04-30 21:36"),
    "one class to judge by": (last_month(back=True), {"params": {"check": {"drift": {"target_psi": 99}}}}, "the rows to judge by have one value of back, True"),
    "a feature is the target": (shop.visits().assign(spent=lambda rows: rows["back"] * 1.0), split(), "spent alone tells back with an AUC of 1.000: is it known only afterwards?"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(REJECTED))
def test_a_split_that_proves_nothing_is_rejected_and_the_former_one_stays(room: Room, case: str) -> None:
    frame, changes, said = REJECTED[case]
    room.split(shop.visits())
    before = read_json(room.prepared / "split.json")
    result = room.split(frame, **changes)
    assert (result.outcome, result.message) == (Outcome.REJECTED, said)
    assert result.hint
    assert result.outputs == {}
    assert read_json(room.prepared / "split.json") == before
    assert sorted(path.name for path in room.prepared.parent.iterdir()) == ["check.json", "prepared", "raw"]


def afterwards(frame: pd.DataFrame, *, strong: bool) -> pd.DataFrame:
    """A column that is filled in together with the target, for nine rows of ten."""
    draw = np.random.default_rng(1)
    unknown = frame.index % 10 == 0
    told = np.where(frame["back"], 1.0, -1.0) * strong + draw.normal(0, 1.2, len(frame))
    return frame.assign(told=pd.Series(told).mask(unknown), back=frame["back"].astype(object).mask(unknown))


TOLD = {"contract": {"columns": {"told": {"type": "number", "nullable": True}}}}


def test_a_strong_feature_that_comes_with_the_target_is_a_leak(room: Room) -> None:
    result = room.split(afterwards(shop.visits(), strong=True), **TOLD)
    check = found(result, "leak told")
    assert (result.outcome, check.outcome) == (Outcome.REJECTED, Found.REJECTED)
    assert "and it is missing in 100% of the rows whose back is unknown and hardly ever in others" in check.message
    assert 0.75 < float(check.observed or 0) < 0.95
    assert result.hint == "give the column the role `after` in the contract, or list it under split.trusted"


def test_a_weak_one_is_a_warning(room: Room) -> None:
    result = room.split(afterwards(shop.visits(), strong=False), **TOLD)
    assert (result.outcome, found(result, "leak told").outcome) == (Outcome.PASSED, Found.WARNED)


def test_who_trusts_a_feature_may_say_so(room: Room) -> None:
    changes = {**TOLD, **split(trusted=["told"])}
    result = room.split(afterwards(shop.visits(), strong=True), **changes)
    assert (result.outcome, found(result, "leak told").outcome) == (Outcome.PASSED, Found.WARNED)


def test_a_feature_with_gaps_anywhere_is_no_leak(room: Room) -> None:
    frame = afterwards(shop.visits(), strong=True)
    frame["told"] = frame["told"].mask(frame.index % 7 == 0)
    assert not [item for item in room.split(frame, **TOLD).checks if item.name == "leak told"]


def test_rows_on_both_sides_are_told(room: Room) -> None:
    frame = shop.visits()
    frame["spent"] = frame["id"] + 0.5
    for name in ("age", "spent", "town", "member"):
        frame.loc[1190:1199, name] = frame.loc[0:9, name].to_numpy()
    check = found(room.split(frame), "rows on both sides")
    assert (check.outcome, check.n) == (Found.WARNED, 300)
    assert check.message == "10 test rows (3.3%) have the features of a training row"


@pytest.mark.parametrize(
    ("task", "target"),
    [("binary", {"type": "boolean"}), ("regression", {"type": "number"})],
)
def test_single_features_are_scored_out_of_fold(task: str, target: dict[str, Any]) -> None:
    draw = np.random.default_rng(0)
    n = 4000
    y = draw.random(n) < 0.5 if task == "binary" else draw.normal(0, 1, n)
    columns = {
        "age": {"type": "number", "minimum": None, "maximum": None}, "spent": {"type": "number"},
        "town": {"type": "string", "categories": None}, "member": None, "back": target,
    }  # fmt: skip
    contract = shop.contract(task=task, columns=columns)
    frame = pd.DataFrame(
        {"age": y * 1.0, "spent": draw.normal(0, 1, n), "town": [f"t{place}" for place in range(n)], "back": y}
    )
    scores = single_feature_scores(conformed(frame, contract), contract)
    nothing = 0.5 if task == "binary" else 0.0
    assert scores["age"] > 0.97
    assert scores["spent"] == pytest.approx(nothing, abs=0.05)
    assert scores["town"] == pytest.approx(nothing, abs=0.05)  # a name per row tells nothing about other rows


def test_memory_holds_a_sample_not_all_training_rows(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci.data.split.SAMPLE", 100)
    seen: list[int] = []

    def watched(frame: pd.DataFrame, contract: Any) -> dict[str, float]:
        seen.append(len(frame))
        return single_feature_scores(frame, contract)

    monkeypatch.setattr(data_prepare, "single_feature_scores", watched)
    assert room.split(shop.visits()).outcome is Outcome.PASSED
    assert 60 <= seen[0] <= 100
