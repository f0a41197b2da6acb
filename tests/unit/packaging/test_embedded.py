"""The embedded encoder reads rows as the server does: the same tensors, the same refusals."""

from __future__ import annotations

import importlib.util
import math
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import signature as served
from serving.encoded import ColumnEncoder
from serving.problems import Faults, Problem
from tests.unit.packaging import sealed
from tests.unit.serving import bundles

SIGNATURE = bundles.signature()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The wheel's package, imported as an application would."""
    from ci.packaging import wheel

    folder = tmp_path_factory.mktemp("wheel")
    path = folder / wheel.name("flights", "1.4.0")
    path.write_bytes(wheel.wheel(sealed.write(folder / "b"), "flights", "1.4.0", "a" * 64))
    sys.path.insert(0, str(path))
    try:
        import flights_model
    finally:
        sys.path.remove(str(path))
    return flights_model


def encoder() -> ModuleType:
    path = Path("templates/embedded/_encoding.py")
    spec = importlib.util.spec_from_file_location("embedded_encoding", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EMBEDDED = encoder()


def by_the_server(rows: list[dict[str, Any]]) -> dict[str, np.ndarray] | None:
    import msgspec

    reader = ColumnEncoder(msgspec.convert(SIGNATURE, served.Signature))
    try:
        values = {name: [row[name] for row in rows] for name in reader.columns}
        return reader.encode(values, len(rows), Faults()).feeds
    except Problem:
        return None


def by_the_wheel(rows: list[dict[str, Any]]) -> dict[str, np.ndarray] | None:
    try:
        return EMBEDDED.encode(rows, SIGNATURE)
    except EMBEDDED.InvalidRows:
        return None


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**25), 2**25), st.floats(allow_infinity=True, allow_nan=False),
    st.text(max_size=25), st.sampled_from([*bundles.CARRIERS, *bundles.ORIGINS, "é", "e\u0301", "a\0b"]),
    st.datetimes().map(lambda moment: moment.isoformat()), st.dates().map(str),
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.isoformat("T", "minutes") + "+02:00"),
    st.just("2013-02-30T00:00:00"), st.just([]),
)  # fmt: skip


@given(name=st.sampled_from([item["name"] for item in bundles.INPUTS]), value=VALUES)
@settings(max_examples=600, deadline=None)
def test_agrees_with_the_server_on_every_value(name: str, value: Any) -> None:
    rows = [{**bundles.ROW, name: value}]
    theirs, ours = by_the_server(rows), by_the_wheel(rows)
    assert (theirs is None) == (ours is None), (name, value)
    if theirs is not None and ours is not None:
        for group, tensor in theirs.items():
            assert np.array_equal(tensor, ours[group], equal_nan=group == "numbers")
            assert tensor.dtype == ours[group].dtype


def test_answers_rows_columns_and_frames_alike(package: ModuleType) -> None:
    model, rows = package.load(), bundles.rows(50, seed=3)
    answers = model.predict(rows)
    assert answers.dtype == np.float32
    assert answers.shape == (50,)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert np.array_equal(model.predict(columns), answers)
    assert np.array_equal(model.predict(pd.DataFrame(rows)), answers)
    typed = pd.DataFrame(rows).assign(scheduled_departure=lambda frame: pd.to_datetime(frame["scheduled_departure"]))
    assert np.array_equal(model.predict(typed), answers)


def test_answers_as_the_server_does_row_for_row(package: ModuleType, tmp_path: Path) -> None:
    from serving import bundle
    from serving.model import Model

    rows = bundles.rows(200, seed=9)
    feeds = by_the_server(rows)
    assert feeds is not None
    server = Model(bundle.read(sealed.write(tmp_path / "b")), "1.4.0", 1000)
    assert np.array_equal(package.load().predict(rows), server.graph.run(feeds).reshape(-1))


def test_golden_rows_are_answered_and_a_changed_file_is_refused(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert package.verify() < 1e-5
    model = package.Model()
    model._files["golden.json"] = model._files["golden.json"].replace(b'"outputs": [0.', b'"outputs": [0.9')
    with pytest.raises(package.BrokenModel, match="golden rows"):
        model.verify()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**bundles.ROW, "origin": "LHR"}], "row 0: origin: 'LHR'"),
        ([bundles.ROW, {**bundles.ROW, "distance": 1.5}], "row 1: distance: must be a whole number"),
        ([{**bundles.ROW, "temp": math.inf}], "row 0: temp: must be finite"),
        ([{**bundles.ROW, "more": 1}], "row 0: more: is not a field"),
        ([{}], "row 0: carrier: is missing"),
        ([], "no rows"),
        ("abc", "must be a list of mappings"),
        ({"a": [1], "b": []}, "differ in length"),
    ],
)
def test_says_which_row_and_field_is_wrong(package: ModuleType, rows: Any, said: str) -> None:
    with pytest.raises(package.InvalidRows, match=said):
        package.load().predict(rows)


def test_is_typed(package: ModuleType) -> None:
    assert set(package.Row.__annotations__) == {item["name"] for item in bundles.INPUTS}
    assert package.__version__ == "1.4.0"
