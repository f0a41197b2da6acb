"""Rows in the form that the graph takes: columns grouped by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from serving import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.columns import Values
    from serving.problems import Faults
    from serving.signature import Graph, Signature

Feeds = dict[str, np.ndarray]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One encoded row; numbers may hold None for null."""

    numbers: tuple[float | None, ...]
    texts: tuple[str, ...]
    times: tuple[int, ...]


class Encoded(msgspec.Struct, frozen=True):
    """Encoded rows: `feeds` has `(n_rows, n_columns)` per graph input."""

    n_rows: int
    feeds: Feeds


def stack(rows: Sequence[Row], graph: Graph) -> Encoded:
    """Put single rows together."""
    feeds: Feeds = {}
    if graph.numbers:
        feeds["numbers"] = np.array([row.numbers for row in rows], dtype=np.float32)
    if graph.texts:
        feeds["texts"] = np.array([row.texts for row in rows], dtype=object)
    if graph.times:
        feeds["times"] = np.array([row.times for row in rows], dtype=np.int64)
    return Encoded(len(rows), feeds)


class ColumnEncoder:
    """Encodes whole columns; the reference that quicker ways are held to."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.columns = columns.build(signature.inputs)

    def encode(self, values: Mapping[str, Values], n_rows: int, faults: Faults) -> Encoded:
        """
        Check and encode one list of values per input, all `n_rows` long.

        Raises:
            Invalid: naming row and field of what does not fit, together with the faults noted before.
        """
        done = {name: column.encode(values[name], faults) for name, column in self.columns.items()}
        if faults:
            raise faults.problem()
        graph = self.signature.graph
        feeds: Feeds = {}
        if graph.numbers:
            feeds["numbers"] = np.stack([done[name] for name in graph.numbers], axis=1)
        if graph.texts:
            feeds["texts"] = _objects([done[name] for name in graph.texts], n_rows)
        if graph.times:
            feeds["times"] = np.array([done[name] for name in graph.times], dtype=np.int64).T.copy()
        return Encoded(n_rows, feeds)


def _objects(texts: Sequence[Any], n_rows: int) -> np.ndarray:
    array = np.empty((n_rows, len(texts)), dtype=object)
    for index, column in enumerate(texts):
        array[:, index] = column
    return array
