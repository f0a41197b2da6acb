"""Collect: as far as the source reaches, only what is new, rows first and params last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ci.collecting import collect as module
from ci.data.manifest import load_manifest
from ci.errors import BadInput, Interrupted, Outcome, Unavailable
from ci.files import sha256
from tests import shop

if TYPE_CHECKING:
    from tests.unit.collecting.conftest import Yard


def contents(yard: Yard) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(yard.raw.iterdir())}


def as_of(yard: Yard) -> str:
    return str(yard.project().params.as_of)


def test_as_of_moves_to_the_end_of_the_newest_whole_month(yard: Yard) -> None:
    result = yard.collect()
    assert result.outcome is Outcome.PASSED
    assert as_of(yard) == load_manifest(yard.raw).as_of == "2024-07-01"
    assert result.message.startswith("as_of 2024-03-01 → 2024-07-01; ")
    assert result.data["read"] == ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"]


def test_a_month_whose_last_day_is_missing_is_not_whole(yard: Yard) -> None:
    frame = shop.visits(months=6)
    frame[frame["at"] < "2024-06-30"].to_csv(yard.root / "rows.csv", index=False)
    yard.collect()
    assert as_of(yard) == "2024-06-01"


def test_nothing_lies_in_the_future(yard: Yard) -> None:
    yard.collect(today="2024-05-17")
    assert as_of(yard) == "2024-05-01"
    with pytest.raises(BadInput, match="lies in the future"):
        yard.collect(today="2024-05-17", as_of="2024-06-01")


def test_nothing_new_is_passed_and_changes_no_byte(yard: Yard) -> None:
    yard.collect()
    before, params = contents(yard), yard.params.read_bytes()
    result = yard.collect()
    assert result.message.startswith("nothing new: as_of stays 2024-07-01")
    assert (result.data["moved"], result.data["read"]) == (False, [])
    assert (contents(yard), yard.params.read_bytes()) == (before, params)


def test_one_step_at_a_time_reads_one_month_at_a_time(yard: Yard) -> None:
    yard.collect(as_of="2024-03-01")
    assert yard.collect(as_of="2024-04-01").data["read"] == ["2024-03"]
    assert yard.collect(as_of="2024-05-01").data["read"] == ["2024-04"]


def test_a_restated_month_is_read_again_and_told(yard: Yard) -> None:
    yard.params.write_text(shop.spelled(shop.merged(shop.PARAMS, {"as_of": "2024-03-01", "source": {"eras": [
        {"name": "shop", "start": "2024-01-01", "tables": {"visits": {"kind": "file", "path": "months", "time": "at"}}}]}})))  # fmt: skip
    (yard.root / "months").mkdir()
    for month, rows in shop.visits(months=3).groupby(shop.visits(months=3)["at"].str[:7]):
        rows.to_csv(yard.root / "months" / f"{month}.csv", index=False)
    yard.collect()
    rows = pd.read_csv(yard.root / "months" / "2024-02.csv")
    rows.iloc[1:].to_csv(yard.root / "months" / "2024-02.csv", index=False)
    result = yard.collect()
    assert (result.data["moved"], result.data["read"], result.data["restated"]) == (False, ["2024-02"], ["2024-02"])


def test_a_dry_run_says_what_would_be_read_and_changes_nothing(yard: Yard) -> None:
    params = yard.params.read_bytes()
    result = yard.collect(dry_run=True, as_of="2024-04-01")
    assert result.data["read"] == ["2024-01", "2024-02", "2024-03"]
    assert "--dry-run" in result.message
    assert yard.params.read_bytes() == params
    assert not yard.raw.exists()


def test_what_is_known_does_not_become_unknown(yard: Yard) -> None:
    with pytest.raises(BadInput, match="lies before as_of 2024-03-01"):
        yard.collect(as_of="2024-02-01")


def test_a_date_beyond_what_is_whole_is_warned_of(yard: Yard) -> None:
    (check,) = [check for check in yard.collect(as_of="2024-07-15").checks if check.name == "settled"]
    assert (check.outcome, check.limit) == ("warned", "2024-07-01")
    assert as_of(yard) == "2024-07-15"


def test_without_event_times_only_a_date_moves_as_of(yard: Yard) -> None:
    folder = yard.root / "projects" / "shop"
    changes = {"event_time": None, "cluster": None}
    (folder / "contract.yaml").write_text(shop.spelled(shop.merged(shop.CONTRACT, changes)), encoding="utf-8")
    assert yard.collect().message.startswith("nothing new: as_of stays 2024-03-01")
    assert yard.collect(as_of="2024-04-01").message.startswith("as_of 2024-03-01 → 2024-04-01")


@pytest.mark.parametrize("moment", ["before the params", "while reading"])
def test_a_run_that_dies_leaves_the_former_params_and_the_next_one_ends_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    yard.collect(as_of="2024-03-01")
    params, version = yard.params.read_bytes(), load_manifest(yard.raw).version

    def dies(*_arguments: Any, **_options: Any) -> Any:
        raise Interrupted(15)

    with monkeypatch.context() as patched:
        patched.setattr(module.edits if moment == "before the params" else module, "write" if moment == "before the params" else "ingest", dies)  # fmt: skip
        with pytest.raises(Interrupted):
            yard.collect()
    assert yard.params.read_bytes() == params
    assert (load_manifest(yard.raw).version == version) == (moment == "while reading")
    yard.collect()
    assert as_of(yard) == load_manifest(yard.raw).as_of == "2024-07-01"


def test_a_source_that_does_not_answer_moves_nothing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    params = yard.params.read_bytes()

    def silent(*_arguments: Any) -> Any:
        raise Unavailable("the source does not answer")

    monkeypatch.setattr(module, "ingest", silent)
    with pytest.raises(Unavailable):
        yard.collect()
    assert yard.params.read_bytes() == params


def test_what_a_person_wrote_meanwhile_is_not_written_over(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.ingest

    def slowly(*arguments: Any) -> Any:
        yard.params.write_text(yard.params.read_text() + "# a thought\n")
        return real(*arguments)

    monkeypatch.setattr(module, "ingest", slowly)
    with pytest.raises(BadInput, match="was changed while rows were read"):
        yard.collect()
    assert yard.params.read_text().endswith("# a thought\n")
    monkeypatch.setattr(module, "ingest", real)
    assert yard.collect().data["moved"]
    assert yard.params.read_text().endswith("# a thought\n")
