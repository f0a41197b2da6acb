"""Every exit code that a data or model step names in its docstring, by a real run; and what is left behind then."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tests import shop
from tests.steps.checkout import OUTS, ROOT, STAGES, Checkout, Ended

if TYPE_CHECKING:
    from collections.abc import Callable


def passes(stage: str) -> Callable[[Checkout], tuple[Ended, str]]:
    return lambda checkout: (checkout.run(stage), "")


def no_source(checkout: Checkout) -> tuple[Ended, str]:
    (checkout.root / "rows.csv").unlink()
    return checkout.run("ingest"), "rows.csv: no such file"


def silent_database(checkout: Checkout) -> tuple[Ended, str]:
    table = {"kind": "sql", "url": "SHOP_DB", "query": "SELECT * FROM visits", "time": "at"}
    eras = [{"name": "shop", "start": "2024-01-01", "tables": {"visits": table}}]
    checkout.project(params={"source": {"eras": eras}})
    return checkout.run(
        "ingest", SHOP_DB="sqlite:////no/such/folder/shop.db"
    ), "database in SHOP_DB: unable to open database file"


def broken_manifest(checkout: Checkout) -> tuple[Ended, str]:
    (checkout.root / "data/shop/raw/manifest.json").write_text('{"parts": ')
    return checkout.run("check_data"), "data/shop/raw/manifest.json: not JSON"


def bad_rows(checkout: Checkout) -> tuple[Ended, str]:
    checkout.deliver(shop.visits().assign(age=-1))
    checkout.run("ingest")
    return checkout.run("check_data"), "age is below 0 in 1,200 of 1,200 rows"


def unchecked(checkout: Checkout) -> tuple[Ended, str]:
    (checkout.root / "data/shop/check.json").unlink()
    return checkout.run("prepare"), "data/shop/check.json: not there"


def leaking(checkout: Checkout) -> tuple[Ended, str]:
    checkout.deliver(shop.visits().assign(spent=lambda rows: rows["back"] * 1.0))
    checkout.upto("check_data")
    return checkout.run("prepare"), "spent alone tells back with an AUC of 1.000"


def wrong_estimator(checkout: Checkout) -> tuple[Ended, str]:
    checkout.project(params={"train": {"estimator": {"max_itr": 5}}})
    return checkout.run("train"), "shop: train.estimator: "


def no_model(checkout: Checkout) -> tuple[Ended, str]:
    (checkout.root / "models/shop/model/model.onnx").write_bytes(b"\x08\x07 not quite")
    return checkout.run("evaluate"), "models/shop/model/model.onnx: not a readable ONNX model"


def one_feature_does_it_all(checkout: Checkout) -> tuple[Ended, str]:
    draw, frame = np.random.default_rng(0), shop.visits(per_month=1500)
    frame["back"] = draw.random(len(frame)) < 1 / (1 + np.exp(-(frame["age"] - 54) / 9))
    checkout.deliver(frame)
    return checkout.upto("evaluate"), ".*alone reaches a.* auc of"


def another_model(checkout: Checkout) -> tuple[Ended, str]:
    path = checkout.root / "models/shop/model/model.onnx"
    path.write_bytes(path.read_bytes() + b"\x00")
    return checkout.run("bundle"), "models/shop/evaluation/evaluation.json: is of another model"


def other_answers(checkout: Checkout) -> tuple[Ended, str]:
    path = checkout.root / "models/shop/model/reference.parquet"
    frame = pd.read_parquet(path)
    frame[frame.columns[-1]] += 0.1
    frame.to_parquet(path)
    return checkout.run("bundle"), "parity: "


ENDS: dict[tuple[str, int], Callable[[Checkout], tuple[Ended, str]]] = {
    **{(stage, 0): passes(stage) for stage in STAGES},
    ("ingest", 2): no_source,
    ("ingest", 5): silent_database,
    ("check_data", 2): broken_manifest,
    ("check_data", 3): bad_rows,
    ("prepare", 2): unchecked,
    ("prepare", 3): leaking,
    ("train", 2): wrong_estimator,
    ("evaluate", 2): no_model,
    ("evaluate", 3): one_feature_does_it_all,
    ("bundle", 2): another_model,
    ("bundle", 3): other_answers,
}
WORDS = {0: "passed", 2: "bad input", 3: "rejected", 5: "unavailable"}


@pytest.mark.parametrize("stage", STAGES)
def test_the_docstring_names_the_codes_that_are_proved_here(stage: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / f"steps/{stage}.py").read_text(encoding="utf-8"))) or ""
    named = {int(code) for code in re.findall(r"\b(\d) ", said.split("Exits")[1])}
    assert named == {code for name, code in ENDS if name == stage}


@pytest.mark.parametrize(("stage", "code"), sorted(ENDS), ids=str)
def test_a_step_ends_as_its_docstring_says(built: Checkout, stage: str, code: int) -> None:
    before = built.files(OUTS[stage])
    ended, said = ENDS[stage, code](built)
    assert ended.code == code, ended.err
    assert re.match(rf"{stage}: {WORDS[code]}: ({said})", ended.said), ended.said
    assert "Traceback" not in ended.err
    assert built.report(stage)["exit_code"] == code
    assert built.leftovers() == []
    if code:
        assert built.files(OUTS[stage]) == before
