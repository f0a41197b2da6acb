"""
Projects as plug-ins: what a team writes in `projects/<name>/`, and how the house finds it.

A folder with `contract.yaml` and `params.yaml` is a project. Beside them lie `source.py`, `features.py` and
`model.py`: each function in them is optional, and `Code` says what they take and give. Three files rather than one, so
that a change of the estimator does not read the data again.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from ci.contract import Contract, load_contract
from ci.errors import BadInput
from ci.params import SERVICES, Check, Day, Evaluate, Model, Split, Train, load
from ci.params_gate import Policy
from ci.params_publishing import Freshness, Publish
from ci.params_retraining import Renewal
from ci.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

ROOT = Path("projects")


class ProjectParams(Model):
    """`projects/<name>/params.yaml`."""

    as_of: Day = Field(
        description="The build's logical date: rows from before it are known, later ones do not exist yet."
    )
    source: Source
    check: Check  # these four must be there, if only as {}: DVC refuses a stage whose section is missing
    split: Split
    train: Train
    evaluate: Evaluate
    gate: Policy = Field(Policy(), description="The policy of `steps.gate`.")
    retrain: Renewal = Field(Renewal(), description="When new data is a reason to learn anew.")
    publish: Publish = Field(Publish(), description="Where `steps.publish` puts data versions.")
    freshness: Freshness | None = Field(None, description="What consumers are promised; null promises nothing.")


class Code(Protocol):
    """What a project may define: `assemble` in source.py, `features` in features.py, the others in model.py."""

    def assemble(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Make final rows, one per event, from the tables of one period (default: the only table, as it is)."""

    def features(self, rows: dict[str, Any]) -> dict[str, Any]:
        """
        Derive features from raw signature columns, as array-API code (ndonnx) that becomes part of the model graph.

        `rows` holds one array `(n_rows,)` per signature column: float32, string, or int64 seconds for a datetime.
        The answer holds float32 or string arrays `(n_rows,)` under the names that the estimator sees.
        """

    def estimator(self, params: Mapping[str, Any], features: Mapping[str, str]) -> Any:
        """Return an unfitted scikit-learn estimator; `features` maps each name to `number` or `text`."""

    def train(self, rows: pd.DataFrame, params: Mapping[str, Any]) -> tuple[bytes, Callable[[pd.DataFrame], Any]]:
        """Train with any framework: raw rows in, an ONNX model after docs/reference/bundle.md and its predict out."""


@dataclass(frozen=True)
class Project:
    """One project, read lazily."""

    name: str
    folder: Path

    @cached_property
    def contract(self) -> Contract:
        """The data contract."""
        return load_contract(self.folder / "contract.yaml")

    @cached_property
    def params(self) -> ProjectParams:
        """All sections of its params."""
        return load(ProjectParams, self.folder / "params.yaml")

    def under(self, params: ProjectParams) -> Project:
        """Return the project as it would be with other params, whatever its file says."""
        other = replace(self)
        other.__dict__["params"] = params  # where `cached_property` keeps what it has read
        return other

    @property
    def as_of(self) -> datetime:
        """Midnight at which the build's logical date begins."""
        return datetime.combine(self.params.as_of, datetime.min.time())

    def code(self, function: str) -> Any | None:
        """
        Return a function of the project's code, or None if it leaves it to the default.

        Raises:
            BadInput: the file is missing or does not import.
        """
        file = self.code_file(function)
        if not file.is_file():
            raise BadInput(f"{file}: no such file", hint="it may be empty: then the default is used")
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            module = importlib.import_module(f"projects.{self.name}.{file.stem}")
        except Exception as error:
            raise BadInput(f"{file}: does not import ({type(error).__name__}: {error})") from error
        if module.__file__ is None or Path(module.__file__).resolve() != file.resolve():
            raise BadInput(f"{file}: {module.__file__} is imported in its place",
                           hint="is there an __init__.py in projects/ and in the project's folder?")  # fmt: skip
        return getattr(module, function, None)

    def code_file(self, function: str) -> Path:
        """Return the file in which a function of the project belongs."""
        return self.folder / {"assemble": "source.py", "features": "features.py"}.get(function, "model.py")

    def path(self, kind: str, *parts: str) -> Path:
        """Return where the project's data, models or artifacts lie."""
        return Path(kind, self.name, *parts)


def find(name: str) -> Project:
    """
    Find a project by name; a service of Slipway's own has the name of one, and no folder.

    Raises:
        BadInput: there is no such folder; the message names the nearest.
    """
    folder = ROOT / name
    if name in SERVICES:
        if folder.exists():
            raise BadInput(f"{folder}: {name} is the name of a service of Slipway's own", hint="rename the project")
        return Project(name, folder)
    if not (folder / "contract.yaml").is_file():
        known = sorted(path.parent.name for path in ROOT.glob("*/contract.yaml"))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known projects: {', '.join(known) or 'none'}"
        raise BadInput(f"{name}: unknown project", hint=hint)
    return Project(name, folder)


def names() -> list[str]:
    """Return the projects that params.yaml lists."""
    from ci.shared import shared  # what it describes of releases is not needed by most steps

    return list(shared().projects)
