"""From prepared rows to a graph that answers as its estimator did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from ci.aside import aside
from ci.data.layout import TRAIN
from ci.errors import BadInput
from ci.files import read_json, sha256
from ci.model import graph
from ci.model import train as training
from ci.model.scoring import Scorer
from tests import shop
from tests.unit.model.conftest import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable


def test_training_leaves_a_model_reference_rows_and_facts(workshop: Workshop) -> None:
    folder = workshop.model.parent
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "reference.parquet", "training.json"]
    facts = read_json(folder / "training.json")
    assert facts["rows"] == 900
    assert facts["features"] == {"age": "number", "spent": "number", "town": "text", "member": "number"}


def test_the_graph_answers_as_the_estimator_did_even_on_hard_rows(workshop: Workshop) -> None:
    reference, wanted = training.answers_in(pd.read_parquet(workshop.model.parent / "reference.parquet"))
    assert len(reference) == 40 + 2 * 20  # drawn rows, missing `spent`, towns that were never seen
    assert (reference["town"] == training.UNSEEN).sum() == 20
    found = Scorer(workshop.model, workshop.project.contract).score(reference)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert ((found > 0) & (found < 1)).all()


def test_the_same_rows_train_the_same_bytes(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    again = Workshop(tmp_path)
    again.train()
    assert sha256(again.model) == sha256(workshop.model)


def test_a_graph_that_was_traced_aside_is_the_same(workshop: Workshop) -> None:
    here = graph.trace(workshop.project)
    with aside(lambda: graph.trace(workshop.project).to_bytes()) as traced:
        there = graph.FeatureGraph.of_bytes(traced())
    assert (there.kinds, there.to_bytes()) == (here.kinds, here.to_bytes())


def test_batches_of_any_size_answer_alike(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, rows = Scorer(workshop.model, workshop.project.contract), workshop.test.head(50)
    whole = scorer.score(rows)
    monkeypatch.setattr("ci.model.scoring._BATCH", 7)
    np.testing.assert_allclose(scorer.score(rows), whole, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"PK\x03\x04"])
def test_what_is_no_model_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.onnx: "):
        Scorer(tmp_path / "model.onnx", shop.contract())


def test_a_model_of_another_task_is_bad_input(workshop: Workshop) -> None:
    regression = shop.contract(task="regression", columns={"back": {"type": "number"}})
    with pytest.raises(BadInput, match="a regression graph takes numbers, texts and gives prediction"):
        Scorer(workshop.model, regression)


def failing(*_arguments: Any) -> Any:
    raise ValueError("no trees today")


def dividing(*_arguments: Any) -> Any:
    return 1 / 0


CODE: dict[str, tuple[dict[str, Callable[..., Any]], str]] = {
    "estimator": ({"estimator": failing}, "shop: train.estimator: no trees today"),
    "any other error": ({"estimator": dividing}, "shop: train.estimator: division by zero"),
    "train": ({"train": failing}, r"model\.py: train failed \(ValueError: no trees today\)"),
    "NaN": ({"train": lambda rows, params: (b"x", lambda frame: np.full(len(frame), np.nan))}, "the model answers NaN or infinity on 80 reference rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CODE))
def test_own_code_that_fails_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    code, said = CODE[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        Workshop(tmp_path, **code).train()
    assert not (tmp_path / "model").exists()


def test_a_training_set_of_one_class_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = Workshop(tmp_path)
    rows = pd.read_parquet(made.prepared / TRAIN)
    rows[rows["back"]].to_parquet(made.prepared / TRAIN)
    with pytest.raises(BadInput, match="target back: no training row is 'false'"):
        made.train()
