"""Scoring rows with a model graph, as the server will."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ci.errors import BadInput
from ci.model import encoding, graph

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ci.contract import Contract

_BATCH = 65_536


class Scorer:
    """A model graph with the contract whose rows it takes."""

    def __init__(self, model: Path, contract: Contract) -> None:
        """
        Open the graph.

        Raises:
            BadInput: not an ONNX model, or not one with the promised inputs and output.
        """
        try:
            self._session = graph.session(model.read_bytes())
        except Exception as error:
            raise BadInput(f"{model}: not a readable ONNX model ({' '.join(str(error).split())[:160]})") from error
        self._contract = contract
        self._inputs = {item.name for item in self._session.get_inputs()}
        known, output = set(encoding.columns(contract)), graph.OUTPUTS[contract.task]
        if not self._inputs <= known or [item.name for item in self._session.get_outputs()] != [output]:
            raise BadInput(f"{model}: a {contract.task} graph takes {', '.join(sorted(known))} and gives {output}",
                           hint="docs/reference/bundle.md describes the graph")  # fmt: skip

    def score(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Answer raw rows: float64 `(n_rows,)`, or `(n_rows, n_classes)`."""
        parts = [self._run(frame.iloc[start : start + _BATCH]) for start in range(0, len(frame), _BATCH)]
        return np.concatenate(parts).astype(np.float64)

    def _run(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        tensors = encoding.encode(frame, self._contract)
        answer: np.ndarray[Any, Any] = self._session.run(None, {name: tensors[name] for name in self._inputs})[0]
        return answer
