"""
Bundles as others left them: opened, held against their manifest, and asked for answers.

A bundle answers through its own signature, not through today's contract: an old champion may know other columns.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from ci.contract import Task, Type
from ci.data.rows import type_of
from ci.errors import BadInput
from ci.files import read_json, said_plainly, sha256
from ci.model import encoding, graph
from ci.model.bundle import GOLDEN, LINEAGE, MANIFEST, SIGNATURE, digest
from ci.model.evaluate import EVALUATION
from ci.model.train import MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from ci.contract import Contract

Array = np.ndarray[Any, Any]

_BATCH = 65_536
_NUMBERS = {Type.NUMBER, Type.INTEGER, Type.BOOLEAN}


class CannotScore(BadInput):  # reads as the fact that it is
    """The bundle is whole, but these rows are not what its signature asks for."""


class Bundle:
    """One sealed model: `folder` holds what docs/reference/bundle.md lists, and its bytes are those of the manifest."""

    def __init__(self, folder: Path) -> None:
        """
        Open a bundle and verify the digest of every file.

        Raises:
            BadInput: no bundle, a file too many or too few, or one that was changed after sealing.
        """
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            raise BadInput(f"{folder}: not a bundle, it has no {MANIFEST}", hint="steps.bundle makes one")
        verify(folder)
        self.digest = digest(folder)
        self.signature: dict[str, Any] = read_json(folder / SIGNATURE)
        self.evaluation: dict[str, Any] = read_json(folder / EVALUATION)
        self.lineage: dict[str, Any] = read_json(folder / LINEAGE)
        self.golden: dict[str, Any] = read_json(folder / GOLDEN)
        self._types = self._read_types()
        _has(folder / SIGNATURE, self.signature, "task", "output")
        _has(folder / GOLDEN, self.golden, "rows", "outputs", "tolerance")

    @property
    def task(self) -> Task:
        """What it predicts."""
        return Task(self.signature["task"])

    @property
    def model(self) -> Path:
        """Its graph."""
        return self.folder / MODEL

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Its inputs by name, in the order of the signature."""
        return {item["name"]: item for item in self.signature["inputs"]}

    @cached_property
    def size(self) -> int:
        """Bytes of all files."""
        with said_plainly(self.folder):
            return sum(path.stat().st_size for path in self.folder.iterdir())

    def of_type(self, *types: Type) -> list[str]:
        """Return the inputs of the given types, in order."""
        return [name for name, kind in self._types.items() if kind in types]

    def score(self, frame: pd.DataFrame) -> Array:
        """
        Answer raw rows: float64 `(n_rows,)`, or `(n_rows, n_classes)` in the order of its classes.

        Raises:
            CannotScore: a column is missing, of another type, or empty where it may not be; or the graph fails.
        """
        self._takes(frame)
        parts = [self.run(self.encode(frame.iloc[at : at + _BATCH])) for at in range(0, len(frame), _BATCH)]
        return np.concatenate(parts).astype(np.float64) if parts else np.empty(0)

    def encode(self, frame: pd.DataFrame) -> encoding.Tensors:
        """Return the tensors of raw rows, by this bundle's signature."""
        return encoding.encode(frame, cast("Contract", self))  # of a contract it asks `of_type` alone

    def run(self, tensors: encoding.Tensors, *, threads: int = 0) -> Array:
        """
        Run the graph on encoded rows.

        Raises:
            CannotScore: the graph fails on them.
        """
        session = self.session(threads)
        wanted = {item.name for item in session.get_inputs()}
        try:
            answer: Array = session.run(None, {name: tensors[name] for name in wanted})[0]
        except Exception as error:
            raise CannotScore(f"{self.model}: fails on these rows ({_line(error)})") from error
        return answer

    def session(self, threads: int = 0) -> Any:
        """Open the graph, once for each number of threads; 0 lets the runtime choose."""
        if threads not in self._sessions:
            try:
                self._sessions[threads] = graph.session(self.model.read_bytes(), threads)
            except Exception as error:
                raise BadInput(f"{self.model}: not a readable ONNX model ({_line(error)})") from error
        return self._sessions[threads]

    def refused(self, frame: pd.DataFrame) -> int:
        """Count the rows that a server of this bundle would refuse: empty or unknown where its signature says so."""
        told = np.zeros(len(frame), dtype=bool)
        for name, item in self.inputs.items():
            if not item["nullable"]:
                told |= frame[name].isna().to_numpy()
            if item.get("unknown") == "reject" and item.get("categories"):
                told |= (~frame[name].isin(item["categories"]) & frame[name].notna()).to_numpy()
        return int(told.sum())

    def example(self) -> dict[str, Any]:
        """Return the example row of the signature, as a caller would send it."""
        return {name: item.get("example") for name, item in self.inputs.items()}

    def frame(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        """
        Turn rows as a caller would send them into a frame.

        Raises:
            BadInput: a value is not of the type that the signature names.
        """
        columns = {}
        for name, kind in self._types.items():
            values = pd.Series([row.get(name) for row in rows], dtype=object)
            try:
                columns[name] = _column(values, kind)
            except (ValueError, TypeError) as error:
                raise BadInput(f"{name}: not a {kind} ({_line(error)})") from error
        return pd.DataFrame(columns)

    @cached_property
    def _sessions(self) -> dict[int, Any]:
        return {}

    def _read_types(self) -> dict[str, Type]:
        try:
            return {item["name"]: Type(item["type"]) for item in self.signature["inputs"]}
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{self.folder / SIGNATURE}: inputs without name or type ({error})") from error

    def _takes(self, frame: pd.DataFrame) -> None:
        for name, kind in self._types.items():
            if name not in frame:
                raise CannotScore(f"the rows have no column {name}, which its signature asks for")
            found = Type(type_of(frame[name]))
            if found is not kind and not {found, kind} <= _NUMBERS and not frame[name].isna().all():
                raise CannotScore(f"column {name} is {_a(found)} now, its signature asks for {_a(kind)}")
            if kind is Type.DATETIME and (empty := int(frame[name].isna().sum())):
                raise CannotScore(f"column {name} is empty in {empty:,} rows, which its signature does not allow")


def _has(file: Path, document: Any, *names: str) -> None:
    for name in names:
        if not isinstance(document, dict) or name not in document:
            raise BadInput(f"{file}: no {name}", hint="docs/reference/bundle.md describes the file")


def verify(folder: Path) -> None:
    """
    Hold every file of a bundle to its manifest.

    Raises:
        BadInput: a file too many or too few, or one that was changed after sealing.
    """
    listed = read_json(folder / MANIFEST).get("files", {})
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    for name in sorted(present ^ set(listed)):
        raise BadInput(f"{folder / name}: {'not in the manifest' if name in present else 'missing'}",
                       hint="a bundle is sealed as a whole; fetch or build it again")  # fmt: skip
    for name, item in listed.items():
        if (found := sha256(folder / name)) != item["sha256"]:
            raise BadInput(f"{folder / name}: sha256 is {found[:12]}…, the manifest says {item['sha256'][:12]}…",
                           hint="it was changed after sealing; fetch or build it again")  # fmt: skip


def _column(values: pd.Series[Any], kind: Type) -> pd.Series[Any]:
    if kind is Type.DATETIME:
        moments = pd.to_datetime(values, format="ISO8601")
        return moments.dt.tz_convert("UTC").dt.tz_localize(None) if moments.dt.tz is not None else moments
    if kind is Type.STRING:
        return values.astype("string").astype(object)
    return values.astype("Float64").astype("float64") if values.isna().any() else values.astype("float64")


def _a(kind: Type) -> str:
    return f"an {kind}" if kind is Type.INTEGER else f"a {kind}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
