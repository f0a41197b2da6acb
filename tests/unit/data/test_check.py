"""The data check: contract, keys, volume, freshness, schema, drift; and the owner's way to accept a change."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

from ci.data import check as data_check
from ci.errors import BadInput, Outcome
from ci.files import read_json
from ci.progress import Progress
from ci.report import Found
from tests import shop
from tests.unit.data.conftest import found

if TYPE_CHECKING:
    from tests.unit.data.conftest import Room


def params(**changes: Any) -> dict[str, Any]:
    return {"params": changes}


def test_sound_data_passes_and_leaves_its_verdict(room: Room) -> None:
    result = room.checked(shop.visits())
    assert result.outcome is Outcome.PASSED
    assert result.message == "1,200 rows keep the contract"
    verdict = read_json(room.verdict)
    assert verdict["data_version"] == result.inputs["data version"]
    assert {item["outcome"] for item in verdict["checks"]} == {"passed"}


def spoilt(**columns: Any) -> pd.DataFrame:
    return shop.visits().assign(**columns)


def some(column: str, value: Any, where: slice | int = 3) -> pd.DataFrame:
    frame = shop.visits()
    frame.loc[where, column] = value
    return frame


REJECTED: dict[str, tuple[pd.DataFrame, dict[str, Any], str]] = {
    "missing column": (shop.visits().drop(columns="age"), {}, "age is missing since 2024-01"),
    "wrong type": (spoilt(age="old"), {}, "age is a string since 2024-01, the contract says integer"),
    "missing value": (some("town", None), {}, "town is missing in 1 of 1,200 rows, first in 2024-01"),
    "infinity": (some("spent", np.inf), {}, "spent is infinite in 1 of 1,200 rows, first in 2024-01, such as inf"),
    "out of range": (some("age", 999, 500), {}, "age is above 120 in 1 of 1,200 rows, first in 2024-02, such as 999"),
    "keys twice": (some("id", 7, slice(7, 9)), {}, "2 rows repeat id of another row"),
    "keys twice, months apart": (some("id", 7, 1100), {}, "1 rows repeat id of another row"),
    "constant target": (spoilt(back=True), {}, "back is always True: there is nothing to learn"),
    "no target known": (spoilt(back=None), {}, "no row has a known back"),
    "too old": (shop.visits().iloc[:-60], {}, "the newest row is 6.1 days older than as_of 2024-05-01, at most 3 are allowed"),
    "too few": (shop.visits().drop(index=range(900, 1120)), {}, "2024-04 has 80 rows, usual are 300"),
    "fewer than allowed": (shop.visits(), params(check={"min_rows": 301}), "2024-04 has 300 rows, usual are 300"),
    "too many": (pd.concat([shop.visits(3), shop.visits(1, 3000, "2024-04-01").assign(id=lambda rows: rows["id"] + 5000)]), {}, "2024-04 has 3,000 rows, usual are 300"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(REJECTED))
def test_bad_data_is_rejected_in_one_sentence(room: Room, case: str) -> None:
    frame, changes, said = REJECTED[case]
    result = room.checked(frame, **changes)
    assert (result.outcome, result.message) == (Outcome.REJECTED, said)
    assert result.hint.startswith("nothing trains on this data version; tell shop@example.org")
    assert not room.verdict.exists()


def test_several_faults_are_counted(room: Room) -> None:
    result = room.checked(shop.visits().assign(age=-1, town=None))
    assert result.message.endswith("(and 1 more)")


def test_a_former_verdict_does_not_speak_for_new_data(room: Room) -> None:
    room.checked(shop.visits())
    before = read_json(room.verdict)["data_version"]
    assert room.checked(shop.visits().assign(back=True)).outcome is Outcome.REJECTED
    assert room.ingest().inputs != before
    with pytest.raises(BadInput, match="is of another data version"):
        room.prepare()


def test_a_unique_column_is_held_to_it_over_all_periods(room: Room) -> None:
    frame = shop.visits().assign(card=lambda rows: rows["id"].astype(str).where(rows["id"] % 2 == 0))
    frame.loc[1198, "card"] = "2"
    result = room.checked(
        frame, contract={"columns": {"card": {"type": "string", "role": "meta", "nullable": True, "unique": True}}}
    )
    assert result.message == "1 rows repeat card of another row"
    assert found(result, "unique card").n == 600


def test_an_open_period_is_not_judged_by_its_size(room: Room) -> None:
    result = room.checked(shop.visits(), **params(as_of="2024-04-03"))
    assert result.outcome is Outcome.PASSED
    assert found(result, "rows 2024-04").outcome is Found.SKIPPED


def test_an_empty_month_in_between_is_a_warning(room: Room) -> None:
    result = room.checked(shop.visits().drop(index=range(300, 600)))
    assert found(result, "rows 2024-02").message == "2024-02 has no rows"
    assert result.outcome is Outcome.PASSED


def test_without_a_limit_age_is_told_and_not_judged(room: Room) -> None:
    result = room.checked(shop.visits().iloc[:-60], **params(check={"max_age_days": None, "min_rows": 10}))
    assert found(result, "freshness").outcome is Found.SKIPPED
    assert result.outcome is Outcome.PASSED


def test_a_truncated_file_is_bad_input(room: Room) -> None:
    room.checked(shop.visits())
    path = room.raw / "2024-02.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"2024-02\.parquet: not readable as Parquet"):
        room.check()


def test_one_period_has_nothing_to_drift_from(room: Room) -> None:
    result = room.checked(shop.visits(1), **params(as_of="2024-02-01"))
    assert found(result, "drift").outcome is Found.SKIPPED


def yearly(**last_month: Any) -> pd.DataFrame:
    frame = shop.visits(9)
    newest = frame["at"] >= "2024-09"
    for name, value in last_month.items():
        frame.loc[newest, name] = value
    return frame


AUTUMN: dict[str, Any] = {"as_of": "2024-10-01"}


def test_months_that_are_alike_do_not_drift(room: Room) -> None:
    result = room.checked(yearly(), **params(**AUTUMN))
    assert found(result, "drift").message == "0 of 4 features drifted in 2024-09"
    assert result.outcome is Outcome.PASSED


def test_drift_of_one_feature_warns(room: Room) -> None:
    result = room.checked(yearly(age=20), **params(**AUTUMN))
    drift = found(result, "drift age")
    assert drift.outcome is Found.WARNED
    assert drift.message.startswith("age in 2024-09 is not what it was: PSI ")
    assert result.outcome is Outcome.PASSED
    assert result.message == "2,700 rows keep the contract; 1 warning"


@pytest.mark.parametrize(
    ("month", "settings", "name"),
    [
        ({"age": 20}, {"drift": {"critical": ["age"]}}, "drift age"),
        ({"back": lambda: None}, {}, "drift back"),
        ({"age": 20, "spent": 1.0}, {}, "drift"),
    ],
    ids=["critical", "target", "many"],
)
def test_drift_that_matters_rejects_and_can_be_accepted(
    room: Room, month: dict[str, Any], settings: dict[str, Any], name: str
) -> None:
    frame = yearly(**{key: value for key, value in month.items() if not callable(value)})
    if "back" in month:
        frame["back"] = frame["back"] | (frame["at"] >= "2024-09") & (frame["id"] % 3 > 0)
    changes = params(**AUTUMN, check=settings)
    result = room.checked(frame, **changes)
    assert found(result, name).outcome is Found.REJECTED
    assert "accept it in contract.yaml" in result.hint
    accepted = yaml.safe_load(result.data["contract_patch"].replace("…", "seen"))["accepted"]
    assert accepted == [{"period": "2024-09", "change": name, "because": "seen"}]
    assert (
        room.check(**changes, contract={"accepted": [{**accepted[0], "because": "a new shop"}]}).outcome
        is Outcome.PASSED
    )


def test_an_accepted_drift_is_the_new_normal(room: Room) -> None:
    frame = shop.visits(11)
    frame.loc[frame["at"] >= "2024-09", "age"] = 20
    changes = params(as_of="2024-12-01", check={"drift": {"critical": ["age"], "reference_periods": 8}})
    agreed = {"accepted": [{"period": "2024-09", "change": "drift age", "because": "students only"}]}
    assert found(room.checked(frame, **changes), "drift age").outcome is Found.REJECTED
    result = room.check(**changes, contract=agreed)
    assert result.outcome is Outcome.PASSED
    assert not [item for item in result.checks if item.name == "drift age"]


ERAS = {"eras": [{"name": name, "start": start, "end": end, "tables": shop.PARAMS["source"]["eras"][0]["tables"]} for name, start, end
                 in (("old", "2024-01-01", "2024-09-01"), ("new", "2024-09-01", None))]}  # fmt: skip


def test_a_backlog_does_not_make_itself_ordinary(room: Room) -> None:
    """Four months of another source at once: the last is as the three before it, and all are unlike the year before."""
    frame = shop.visits(months=12, per_month=1500)
    autumn = frame["at"] >= "2024-09"
    frame = frame.assign(age=frame["age"].mask(autumn, 20), town=frame["town"].mask(autumn, "elsewhere"))
    check = {"drift": {"critical": ["age", "town"], "reference_periods": 3}}
    hidden = room.checked(frame, **params(as_of="2025-01-01", check=check))
    assert not [item for item in hidden.checks if item.name == "drift age"], "nobody said where another source begins"
    told = params(as_of="2025-01-01", check=check, source=ERAS)
    result = room.checked(frame, **told)
    assert result.outcome is Outcome.REJECTED
    assert found(result, "drift age").message.startswith("age in 2024-09 is not what it was: PSI ")
    patch = yaml.safe_load(result.data["contract_patch"])["accepted"]
    assert {(item["period"], item["change"]) for item in patch} >= {("2024-09", "drift age"), ("2024-09", "drift town")}
    agreed = [{**item, "because": "it is meant"} for item in patch]
    result = room.checked(frame, **told, contract={"accepted": agreed})
    assert result.outcome is Outcome.PASSED, result.message
    assert not [item for item in result.checks if item.name == "drift age"], "later versions are not told again"
    began = found(result, "beginning 2024-09")
    assert (began.outcome, set(began.extra["drifted"])) == (Found.PASSED, {"age", "town"})


def folder(room: Room, *frames: pd.DataFrame) -> dict[str, Any]:
    """Deliver one Parquet file per month, so that the schema may change between them."""
    for place, frame in enumerate(frames, 1):
        room.deliver(frame.reset_index(drop=True), f"in/{place}.parquet")
    era = shop.merged(shop.PARAMS["source"]["eras"][0], {"tables": {"visits": {"path": str(room.root / "in")}}})
    return {"source": {"eras": [era]}, "as_of": f"2024-{len(frames) + 1:02d}-01"}


def month(place: int, **changes: Any) -> pd.DataFrame:
    return shop.visits(1, start=f"2024-{place:02d}-01").assign(id=lambda rows: rows["id"] + 1000 * place, **changes)


def delivered(room: Room, *frames: pd.DataFrame, **contract: Any) -> Any:
    changes = {"params": folder(room, *frames), "contract": contract}
    room.ingest(**changes)
    return room.check(**changes)


SCHEMAS: dict[str, tuple[pd.DataFrame, str, str, str]] = {
    "retyped": (month(2, at=lambda rows: pd.to_datetime(rows["at"])), "visits.at: text → timestamp", "visits.at was text and is timestamp since 2024-02", "rejected"),
    "renamed": (month(2).rename(columns={"returned_on": "returned_at"}), "visits.returned_on: dropped", "visits.returned_on is no longer delivered (is it called returned_at now?) since 2024-02", "rejected"),
    "dropped": (month(2).drop(columns="returned_on"), "visits.returned_on: dropped", "visits.returned_on is no longer delivered since 2024-02", "rejected"),
    "added": (month(2, extra=1), "visits.extra: new column", "visits.extra (integer) is delivered, too, since 2024-02", "warned"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(SCHEMAS))
def test_a_changed_delivery_is_told_and_can_be_accepted(room: Room, case: str) -> None:
    later, change, said, outcome = SCHEMAS[case]
    result = delivered(room, month(1), later)
    check = found(result, f"schema {change.split(':')[0]}")
    assert (check.outcome, check.message, check.extra["change"]) == (outcome, said, change)
    agreed = [{"period": "2024-02", "change": change, "because": "the cash desk was replaced"}]
    columns = {"returned_on": None} if "returned_on" in change else {}
    again = delivered(room, month(1), later, accepted=agreed, columns=columns)
    assert found(again, check.name).outcome is (Found.WARNED if outcome == "warned" else Found.PASSED)


def test_a_delivery_as_before_is_said_to_be_so(room: Room) -> None:
    assert found(delivered(room, month(1), month(2)), "schema").outcome is Found.PASSED


def test_new_and_vanished_values_are_told_with_a_patch_for_the_contract(room: Room) -> None:
    frame = yearly(town="Wien")
    result = room.checked(frame, **params(**AUTUMN))
    assert found(result, "values town new").message == "town: Wien is new in 2024-09 (100.0% of its rows)"
    assert found(result, "values town gone").message == "town: Köln, York, Zürich, Łódź no longer appear in 2024-09"
    assert result.data["contract_patch"] == '# columns: town: categories: add "Wien"'


def test_a_patch_survives_hostile_values(room: Room) -> None:
    result = room.checked(
        yearly(town='x", role: after}\n#'), **params(**AUTUMN, check={"drift": {"critical": ["town"]}})
    )
    lines = result.data["contract_patch"].splitlines()
    assert len(lines) == 3
    assert yaml.safe_load(result.data["contract_patch"])["accepted"][0]["change"] == "drift town"


@pytest.mark.parametrize("month_of_2024", [2, 5, 9])
def test_months_drawn_alike_pass_in_order(room: Room, month_of_2024: int) -> None:
    day = dt.date(2024, month_of_2024 + 1, 1).isoformat()
    assert room.checked(shop.visits(9, seed=month_of_2024), **params(as_of=day)).outcome is Outcome.PASSED


def test_memory_holds_hashes_not_rows(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.deliver(shop.visits())
    room.ingest()
    alive: list[Any] = []
    read = data_check.read_part

    def watched(*arguments: Any) -> pd.DataFrame:
        import gc
        import weakref

        gc.collect()
        assert sum(reference() is not None for reference in alive) <= 1
        frame = read(*arguments)
        alive.append(weakref.ref(frame))
        return frame

    monkeypatch.setattr(data_check, "read_part", watched)
    assert data_check.check(room.shop(), room.raw, room.verdict, Progress()).outcome is Outcome.PASSED
    assert len(alive) == 4
