"""Bundles as others left them: verified, and asked through their own signature."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ci.errors import BadInput
from ci.model.bundles import Bundle, CannotScore
from tests.unit.gate import toy


@pytest.fixture
def folder(tmp_path):
    return toy.bundle(tmp_path / "bundle", (1.5, 0.8), bias=0.25)


def test_it_answers_as_its_weights_say(folder):
    rows = toy.frame(50)
    wanted = 1 / (1 + np.exp(-(1.5 * rows["x1"] + 0.8 * rows["x2"] + 0.25)))
    assert np.allclose(Bundle(folder).score(rows), wanted, atol=1e-6)


def test_columns_are_taken_by_name_in_the_order_of_the_signature(folder):
    rows = toy.frame(50)
    assert np.array_equal(Bundle(folder).score(rows), Bundle(folder).score(rows[rows.columns[::-1]]))


def test_the_digest_is_that_of_the_manifest(folder, tmp_path):
    other = toy.bundle(tmp_path / "other", (1.5, 0.8), bias=0.26)
    assert Bundle(folder).digest != Bundle(other).digest
    assert len(Bundle(folder).digest) == 64


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / "model.onnx").write_bytes(b"html"), r"model\.onnx: sha256 is [0-9a-f]{12}…, the manifest says"),
        (lambda f: (f / "golden.json").unlink(), r"golden\.json: missing"),
        (lambda f: (f / "extra.pkl").write_bytes(b""), r"extra\.pkl: not in the manifest"),
        (lambda f: (f / "manifest.json").unlink(), "not a bundle, it has no manifest"),
        (lambda f: (f / "manifest.json").write_text("{", encoding="utf-8"), "not JSON"),
    ],
)
def test_what_was_changed_after_sealing_is_refused(folder, harm, message):
    harm(folder)
    with pytest.raises(BadInput, match=message):
        Bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="x2"), "no column x2"),
        (lambda rows: rows.assign(x2="a"), "column x2 is a string now, its signature asks for a number"),
        (lambda rows: rows.assign(field=1), "column field is an integer now, its signature asks for a string"),
    ],
)
def test_rows_of_another_kind_cannot_be_scored(folder, change, message):
    with pytest.raises(CannotScore, match=message):
        Bundle(folder).score(change(toy.frame(5)))


def test_integers_and_missing_values_are_numbers_too(folder):
    rows = toy.frame(5).assign(x1=[1, None, 3, 4, 5], x2=[1, 2, 3, 4, 5])
    found = Bundle(folder).score(rows.astype({"x2": "int64"}))
    assert np.isnan(found[1])
    assert np.isfinite(np.delete(found, 1)).all()


def test_rows_that_a_server_would_refuse_are_counted(folder):
    rows = toy.frame(6).assign(x2=[None, 1.0, 2.0, 3.0, 4.0, None])
    assert Bundle(folder).refused(rows) == 2
    assert Bundle(folder).refused(toy.frame(6)) == 0


def test_rows_as_a_caller_sends_them_become_a_frame(folder):
    made = Bundle(folder).frame([{"x1": None, "x2": 2, "field": "north"}, {"x1": 1.5, "x2": 1, "field": "söuth"}])
    assert made["x1"].isna().tolist() == [True, False]
    assert made["field"].tolist() == ["north", "söuth"]
    with pytest.raises(BadInput, match="x2: not a number"):
        Bundle(folder).frame([{"x2": "many"}])


def test_times_are_never_empty(tmp_path):
    folder = toy.bundle(tmp_path / "timed")
    signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
    signature["inputs"].append({"name": "at", "type": "datetime", "nullable": False})
    (folder / "signature.json").write_text(json.dumps(signature), encoding="utf-8")
    toy.seal(folder)
    rows = toy.frame(5)
    assert Bundle(folder).encode(rows)["times"][0, 0] == int(pd.Timestamp(rows["at"][0]).timestamp())
    with pytest.raises(CannotScore, match="column at is empty in 1 rows"):
        Bundle(folder).score(rows.assign(at=rows["at"].where(rows.index > 0)))


@pytest.mark.parametrize(
    ("file", "key"), [("signature.json", "task"), ("signature.json", "inputs"), ("golden.json", "outputs")]
)
def test_a_file_without_what_it_must_hold_is_named(folder, file, key):
    held = json.loads((folder / file).read_text(encoding="utf-8"))
    del held[key]
    (folder / file).write_text(json.dumps(held), encoding="utf-8")
    toy.seal(folder)
    with pytest.raises(BadInput, match=rf"{file}: .*{key}"):
        Bundle(folder)
