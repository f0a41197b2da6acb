"""Data that is wrong in every way that data can be: one clear line, the right code, nothing that a later run trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests import shop
from tests.steps.checkout import OUTS, STAGES, Checkout

if TYPE_CHECKING:
    from collections.abc import Callable


def changed(**columns: Any) -> pd.DataFrame:
    return shop.visits().assign(**columns)


def rows_csv(text: bytes) -> Callable[[Checkout], None]:
    return lambda checkout: void((checkout.root / "rows.csv").write_bytes(text))


def void(_value: object) -> None:
    pass


def delivered(frame: pd.DataFrame) -> Callable[[Checkout], None]:
    return lambda checkout: checkout.deliver(frame)


def parquet(content: Callable[[bytes], bytes]) -> Callable[[Checkout], None]:
    def deliver(checkout: Checkout) -> None:
        path = checkout.root / "rows.parquet"
        shop.visits().to_parquet(path)
        path.write_bytes(content(path.read_bytes()))
        era = shop.merged(shop.PARAMS["source"]["eras"][0], {"tables": {"visits": {"path": "rows.parquet"}}})
        checkout.project(params={"source": {"eras": [era]}})

    return deliver


CSV = shop.visits().to_csv(index=False).encode()
WIDE = ",".join(f"x{place}" for place in range(10_000)).encode() + b"\n" + b",".join([b"1"] * 10_000) + b"\n"

CASES: dict[str, tuple[Callable[[Checkout], None], str, int, str]] = {
    "missing column": (delivered(shop.visits().drop(columns="age")), "check_data", 3, "age is missing since 2024-01"),
    "wrong column": (delivered(shop.visits().rename(columns={"town": "city"})), "check_data", 3, "town is missing since 2024-01"),
    "wrong type": (delivered(changed(age="old")), "check_data", 3, "age is a string since 2024-01, the contract says integer"),
    "NaN": (delivered(changed(age=lambda rows: rows["age"].mask(rows["id"] == 3))), "check_data", 3, "age is missing in 1 of 1,200 rows, first in 2024-01"),
    "infinity": (delivered(changed(spent=np.inf)), "check_data", 3, "spent is infinite in 1,200 of 1,200 rows, first in 2024-01, such as inf"),
    "constant target": (delivered(changed(back=True)), "check_data", 3, "back is always True: there is nothing to learn"),
    "one class in the newest month": (delivered(changed(back=lambda rows: rows["back"] | (rows["at"] >= "2024-04"))), "prepare", 3, "the rows to judge by have one value of back, True"),
    "empty file": (rows_csv(b""), "ingest", 2, "rows.csv: empty"),
    "header only": (rows_csv(CSV.splitlines()[0] + b"\n"), "ingest", 2, "shop: the source has no rows before 2024-05-01"),
    "truncated Parquet": (parquet(lambda content: content[: len(content) // 2]), "ingest", 2, "rows.parquet: not readable as Parquet"),
    "empty Parquet": (parquet(lambda _content: b""), "ingest", 2, "rows.parquet: empty"),
    "mixed encodings": (rows_csv(CSV + "9999,2024-04-30T00:00:00,30,1.0,Zürich,True,,False\n".encode("latin-1")), "ingest", 2, "rows.csv: not utf-8, or of mixed encodings"),
    "10,000 columns": (rows_csv(WIDE), "ingest", 2, "rows.csv: 10,000 columns, at most 1,000 are read"),
    "duplicate keys": (delivered(changed(id=lambda rows: rows["id"] % 600)), "check_data", 3, "600 rows repeat id of another row"),
    "all rows in the future": (delivered(shop.visits(start="2031-01-01")), "ingest", 2, "shop: the source has no rows before 2024-05-01"),
    "all rows late": (delivered(shop.visits(2)), "check_data", 3, "2024-04 has 0 rows"),
    "cut off in the middle of a line": (rows_csv(CSV[: len(CSV) // 2 - 3]), "ingest", 2, "rows.csv: not readable as CSV"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_bad_data_ends_in_one_line_and_nothing_is_trusted(built: Checkout, case: str) -> None:
    spoil, stage, code, said = CASES[case]
    spoil(built)
    before = built.files(*(OUTS[name] for name in STAGES[STAGES.index(stage) :]))
    ended = built.upto(stage)
    word = {2: "bad input", 3: "rejected"}[code]
    assert ended.code == code, ended.err
    assert ended.said.startswith(f"{stage}: {word}: {said}"), ended.said
    assert ended.err.count(f"{stage}: ") == 1
    assert "Traceback" not in ended.err
    assert built.files(*(OUTS[name] for name in STAGES[STAGES.index(stage) :])) == before
    assert built.leftovers() == []
    if stage == "check_data":  # a verdict of an earlier version opens no door
        assert "is of another data version" in built.run("prepare").said
    if stage == "prepare":
        assert built.report("prepare")["outputs"] == {}


def test_some_rows_in_the_future_are_simply_not_there_yet(fresh: Checkout) -> None:
    fresh.deliver(shop.visits(months=6))
    assert fresh.upto("check_data").code == 0
    assert fresh.report("check_data")["facts"]["watermark"] < "2024-05-01"
    assert fresh.report("ingest")["facts"]["rows"] == 1200


@pytest.mark.parametrize("stage", ["check_data", "prepare"])
def test_a_truncated_part_is_bad_input_and_healed_by_ingest(built: Checkout, stage: str) -> None:
    path = built.root / "data/shop/raw/2024-02.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    ended = built.run(stage)
    assert ended.code == 2
    assert ended.said.startswith(f"{stage}: bad input: data/shop/raw/2024-02.parquet: not readable as Parquet")
    assert built.run("ingest").code == 0
    assert path.read_bytes() == whole
    assert built.run(stage).code == 0


@pytest.mark.parametrize(
    ("stage", "file", "said"),
    [
        ("train", "data/shop/prepared/train.parquet", "data/shop/prepared/train.parquet: not readable as Parquet"),
        ("evaluate", "data/shop/prepared/test.parquet", "data/shop/prepared/test.parquet: not readable as Parquet"),
        (
            "bundle",
            "models/shop/model/reference.parquet",
            "models/shop/model/reference.parquet: not readable as Parquet",
        ),
        ("bundle", "models/shop/evaluation/evaluation.json", "models/shop/evaluation/evaluation.json: not JSON"),
        ("prepare", "data/shop/check.json", "data/shop/check.json: not JSON"),
    ],
)
@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_what_a_stage_needs_and_cannot_read_is_named(
    built: Checkout, stage: str, file: str, said: str, damage: str
) -> None:
    before = built.files(OUTS[stage])
    path = built.root / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:30])
    ended = built.run(stage)
    assert ended.code == 2, ended.err
    assert ended.said.startswith(f"{stage}: bad input: {said if damage == 'truncated' else file}"), ended.said
    if not file.startswith(OUTS[stage]):
        assert built.files(OUTS[stage]) == before


@pytest.mark.parametrize(
    ("file", "text", "stage", "said"),
    [
        ("source.py", "def assemble(tables):\n    return tables['visits']['nope']\n", "ingest", "projects/shop/source.py: assemble needs 'nope'"),
        ("source.py", "import nowhere\n", "ingest", "projects/shop/source.py: does not import (ModuleNotFoundError: No module named 'nowhere')"),
        ("source.py", "def assemble(tables:\n", "ingest", "projects/shop/source.py: does not import (SyntaxError"),
        ("features.py", "def features(rows):\n    return {'x': rows['nope']}\n", "train", "projects/shop/features.py: features cannot become a graph (KeyError: 'nope')"),
        ("model.py", "def estimator(params, features):\n    raise ValueError('no trees')\n", "train", "shop: train.estimator: no trees"),
    ],
)  # fmt: skip
def test_own_code_that_fails_is_named(built: Checkout, file: str, text: str, stage: str, said: str) -> None:
    before = built.files(OUTS[stage])
    (built.root / "projects/shop" / file).write_text(text)
    ended = built.run(stage)
    assert ended.code == 2, ended.err
    assert said in ended.said
    assert built.files(OUTS[stage]) == before


def test_a_part_that_is_another_than_the_manifest_says_is_not_taken(built: Checkout) -> None:
    raw = built.root / "data/shop/raw"
    (raw / "2024-02.parquet").write_bytes((raw / "2024-03.parquet").read_bytes())
    ended = built.run("check_data")
    assert (ended.code, ended.said) == (
        2,
        "check_data: bad input: data/shop/raw/2024-02.parquet: is not what manifest.json says",
    )
