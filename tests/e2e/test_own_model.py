"""The pages' own examples, and what the parity check is for: each runs from a CSV to a bundle, in this process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci.adapters import tables
from ci.contract import load_contract
from ci.data import check, ingest, prepare
from ci.errors import BadInput, Outcome
from ci.model import bundle, evaluate, train
from ci.model.scoring import Scorer
from ci.progress import Progress
from ci.scaffold.new import new_project
from ci.scaffold.rehearsal import Staged
from ci.scaffold.wish import Wish
from tests.unit.scaffold.conftest import SHARED, TODAY, people

if TYPE_CHECKING:
    import pandas as pd

    from ci.report import Result

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = (ROOT / "docs/how-to/add-a-project.md").read_text(encoding="utf-8")
NATIVE_CATEGORIES = """
def estimator(params, features):
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    numbers = [name for name, kind in features.items() if kind == "number"]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("texts", codes, ["town"]), ("numbers", "passthrough", numbers)])
    return Pipeline([("columns", columns), ("trees", HistGradientBoostingClassifier(categorical_features=[0]))])
"""


def example(file: str, function: str) -> str:
    """Return the page's code block for `file` that defines `function`."""
    blocks = re.findall(rf"```python\n# projects/churn/{file}\n(.*?)```", HOW_TO, re.DOTALL)
    return next(block for block in blocks if f"def {function}(" in block)


class Pipeline:
    """A project in an empty checkout, and its stages."""

    def __init__(self, root: Path, frame: pd.DataFrame, **code: str) -> None:
        frame.to_csv(root / "rows.csv", index=False)
        self.open = tables.opener(root / "cache")
        new_project(Wish(name="churn", csv=root / "rows.csv", target="left"), self.open, Progress(), TODAY)
        for name, text in code.items():
            (root / "projects/churn" / f"{name}.py").write_text(text, encoding="utf-8")
        params = root / "projects/churn/params.yaml"
        params.write_text(re.sub(r"  estimator: .*", "  estimator: {}", params.read_text()))
        self.project, self.root, self.silent = Staged("churn", root / "projects/churn"), root, Progress()

    def prepared(self) -> Path:
        raw, made = self.root / "raw", self.root / "prepared"
        ingest.ingest(self.project, self.open, raw, self.silent)
        check.check(self.project, raw, self.root / "check.json", self.silent)
        prepare.prepare(self.project, raw, made, self.silent)
        return made

    def bundled(self) -> Result:
        """Return the verdict of the bundle stage."""
        prepared, model, evaluation = self.prepared(), self.root / "model", self.root / "evaluation"
        train.train(self.project, prepared, model, self.silent)
        evaluate.evaluate(self.project, prepared, model / train.MODEL, evaluation, self.silent)
        parts = bundle.Parts(self.root / "raw", prepared, model, evaluation)
        return bundle.bundle(self.project, parts, self.root / "bundle")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text(SHARED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gappy() -> pd.DataFrame:
    frame = people(400)
    return frame.assign(income=frame["income"].mask(frame.index % 7 == 0))


@pytest.mark.parametrize(
    "code",
    [
        {"model": example("model.py", "train")},
        {"model": example("model.py", "estimator")},
        {"features": example("features.py", "features")},
    ],
    ids=["train", "estimator", "features"],
)
def test_the_page_s_examples_end_in_a_bundle(root: Path, code: dict[str, str]) -> None:
    result = Pipeline(root, gappy(), **code).bundled()
    assert result.outcome is Outcome.PASSED
    assert {check.name for check in result.checks} >= {"parity", "alone as in a batch"}


def test_a_hand_written_model_has_learned_something(root: Path) -> None:
    made = Pipeline(root, gappy(), model=example("model.py", "train"))
    made.bundled()
    frame = people(50).assign(age=[20, 80] * 25).drop(columns="left")
    answers = Scorer(root / "bundle/model.onnx", load_contract(root / "projects/churn/contract.yaml")).score(frame)
    assert answers[1::2].min() > answers[::2].max(), "the older leave"


def test_native_categories_are_exported_wrongly_and_rejected(root: Path) -> None:
    frame = people(400)
    frame["left"] = (frame["town"] == "York").map({True: "yes", False: "no"}).mask(frame.index % 3 == 0, frame["left"])
    result = Pipeline(root, frame, model=NATIVE_CATEGORIES).bundled()
    assert (result.outcome, result.outcome.exit_code) == (Outcome.REJECTED, 3)
    assert result.message.startswith("parity: ")
    assert "add-a-project.md" in result.hint
    assert not (root / "bundle").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            {"model": "def train(rows, params):\n    raise RuntimeError('no GPU')\n"},
            "train failed (RuntimeError: no GPU)",
        ),
        ({"features": "def features(rows):\n    return {}\n"}, "features returned no columns"),
        ({"features": "def features(rows):\n    return {'x': 1 if rows['age'] else 2}\n"}, "cannot become a graph"),
    ],
)
def test_code_that_fails_is_one_clear_line(root: Path, code: dict[str, str], message: str) -> None:
    made = Pipeline(root, gappy(), **code)
    with pytest.raises(BadInput) as refused:
        train.train(made.project, made.prepared(), root / "model", Progress())
    assert message in str(refused.value)
    assert not (root / "model").exists()
