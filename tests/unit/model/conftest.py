"""One small shop, trained and evaluated once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from ci.data.layout import SPLIT, TEST, TRAIN
from ci.data.rows import conformed, write_parquet
from ci.files import write_json
from ci.model.evaluate import evaluate
from ci.model.train import MODEL, train
from ci.progress import Progress
from tests import shop

if TYPE_CHECKING:
    from pathlib import Path

    from ci.report import Result

FEW = {"train": {"estimator": {"max_iter": 5}, "parity_rows": 40}}


class Workshop:
    """A folder with prepared rows, and what is made of them."""

    def __init__(self, root: Path, **changes: object) -> None:
        self.root, self.prepared = root, root / "prepared"
        self.project = shop.shop(root, params=FEW, **changes)  # type: ignore[arg-type]
        rows = conformed(shop.visits(), self.project.contract)
        self.prepared.mkdir(exist_ok=True)
        write_parquet(rows[rows["at"] < "2024-04"], self.prepared / TRAIN)
        write_parquet(rows[rows["at"] >= "2024-04"], self.prepared / TEST)
        write_json(
            self.prepared / SPLIT, {"data_version": "0" * 64, "strategy": "time", "cut": {}, "rows": {}, "dropped": {}}
        )

    @property
    def model(self) -> Path:
        return self.root / "model" / MODEL

    @property
    def test(self) -> pd.DataFrame:
        return pd.read_parquet(self.prepared / TEST)

    def train(self) -> Result:
        return train(self.project, self.prepared, self.root / "model", Progress())

    def evaluate(self) -> Result:
        return evaluate(self.project, self.prepared, self.model, self.root / "evaluation", Progress())


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A shop whose model is trained."""
    root, before = tmp_path_factory.mktemp("workshop"), os.getcwd()
    os.chdir(root)
    try:
        made = Workshop(root)
        made.train()
    finally:
        os.chdir(before)
    return made
