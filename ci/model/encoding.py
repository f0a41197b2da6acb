"""
From rows to the tensors of the graph, as docs/reference/bundle.md fixes it.

The server does the same from JSON. There is no feature logic here: that is inside the graph.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.contract import Type

if TYPE_CHECKING:
    from ci.contract import Contract

Tensors = dict[str, np.ndarray[Any, np.dtype[Any]]]

NUMBERS, TEXTS, TIMES = "numbers", "texts", "times"
GROUPS = {
    NUMBERS: (Type.NUMBER, Type.INTEGER, Type.BOOLEAN),
    TEXTS: (Type.STRING,),
    TIMES: (Type.DATETIME,),
}


def columns(contract: Contract) -> dict[str, list[str]]:
    """Return the columns of each group that has any, in the order of the tensor."""
    found = {group: contract.of_type(*types) for group, types in GROUPS.items()}
    return {group: names for group, names in found.items() if names}


def encode(frame: pd.DataFrame, contract: Contract) -> Tensors:
    """Return `numbers` float32, `texts` object and `times` int64, each `(n_rows, n_columns)`."""
    encoders = {NUMBERS: _numbers, TEXTS: _texts, TIMES: _times}
    return {group: encoders[group](frame[names]) for group, names in columns(contract).items()}


def _numbers(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    made = np.empty(frame.shape, dtype=np.float32)
    for place, name in enumerate(frame.columns):
        made[:, place] = frame[name].to_numpy(dtype="float64", na_value=np.nan)
    return made


def _texts(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    made = np.empty(frame.shape, dtype=object)
    for place, name in enumerate(frame.columns):
        codes, values = pd.factorize(frame[name])
        known = np.array([*(unicodedata.normalize("NFC", str(value)) for value in values), ""], dtype=object)
        made[:, place] = known[codes]  # a missing value has the code -1: the empty text at the end
    return made


def _times(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    made = np.empty(frame.shape, dtype=np.int64)
    for place, name in enumerate(frame.columns):
        made[:, place] = frame[name].to_numpy(dtype="datetime64[s]").astype(np.int64)
    return made
