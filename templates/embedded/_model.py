"""A model that lives in the application's own process: a graph, its signature, and rows that prove both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from ._encoding import InvalidRows, encode

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_BATCH = 65_536


class BrokenModel(RuntimeError):  # noqa: N818
    """The files are not those of the release, or the graph does not answer its golden rows as it did there."""


class Model:
    """
    One release of a model.

    Threads may share it; `signature` is what it takes and gives.
    """

    def __init__(self, threads: int = 1) -> None:
        """
        Read the model, and check every file against the manifest; `threads` are those of one prediction.

        Raises:
            BrokenModel: a file was changed.
        """
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        self._files = _checked(files(__package__) / "bundle")
        self.signature: dict[str, Any] = json.loads(self._files["signature.json"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            self._files.pop("model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._wanted = [item.name for item in self._session.get_inputs()]

    @property
    def classes(self) -> list[Any] | None:
        """Classes in the order of the answer's columns, of a model that has several."""
        found: list[Any] | None = self.signature["output"].get("classes")
        return found

    def predict(self, rows: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        """
        Answer rows: a list of mappings, a mapping of columns, or a pandas DataFrame.

        Returns float32 `(n_rows,)`, or `(n_rows, n_classes)` in the order of `classes`.

        Raises:
            InvalidRows: naming row and field of the first value that the model does not take.
        """
        records = as_rows(rows)
        if not records:
            raise InvalidRows("there are no rows")
        parts = [self._run(records[at : at + _BATCH]) for at in range(0, len(records), _BATCH)]
        return np.concatenate(parts)

    def verify(self) -> float:
        """
        Answer the golden rows of the release; return the largest difference.

        Raises:
            BrokenModel: a difference above the tolerance that the bundle names.
        """
        golden = json.loads(self._files["golden.json"])
        wanted = np.asarray(golden["outputs"], dtype=np.float64)
        found = self.predict(golden["rows"]).astype(np.float64)
        gap = np.abs(found - wanted)
        if not bool((gap <= golden["tolerance"] * np.maximum(1.0, np.abs(wanted))).all()):
            raise BrokenModel(f"golden rows: answers differ by up to {gap.max():.3g}")
        return float(gap.max())

    def _run(self, records: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        tensors = encode(records, self.signature)
        answer: np.ndarray[Any, np.dtype[np.float32]] = self._session.run(
            None, {name: tensors[name] for name in self._wanted}
        )[0]
        return answer


def as_rows(given: Any) -> list[Mapping[str, Any]]:
    """
    Bring what may be given to a list of mappings.

    Raises:
        InvalidRows: it is none of the three forms, or its columns differ in length.
    """
    if hasattr(given, "columns") and hasattr(given, "to_dict"):  # a DataFrame, which need not be installed
        given = {str(name): _values(given[name]) for name in given.columns}
    if isinstance(given, Mapping):
        lengths = {name: len(column) for name, column in given.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidRows(f"columns differ in length: {lengths}")
        return [dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True)]
    if (
        isinstance(given, Sequence)
        and not isinstance(given, (str, bytes))
        and all(isinstance(row, Mapping) for row in given)
    ):
        return list(given)
    raise InvalidRows(
        f"rows must be a list of mappings, a mapping of columns or a DataFrame, not {type(given).__name__}"
    )


def _values(column: Any) -> list[Any]:
    """Return a DataFrame's column as plain values; whatever it calls missing is None."""
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]


def _checked(folder: Traversable) -> dict[str, bytes]:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    contents = {name: (folder / name).read_bytes() for name in manifest["files"]}
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != manifest["files"][name]["sha256"]:
            raise BrokenModel(f"{name}: is not the file of this release")
    return contents
