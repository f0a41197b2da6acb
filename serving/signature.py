"""The bundle's `signature.json`: what the model takes and gives."""

from __future__ import annotations

import math
from typing import Any, Literal
from unicodedata import normalize

import msgspec

from serving.errors import BundleError

FLOAT32_MAX = 3.4028234663852886e38
EXACT_FLOAT32 = 2**24
_GROUPS = {"number": "numbers", "integer": "numbers", "boolean": "numbers", "string": "texts", "datetime": "times"}
_NAMES = {"binary": "probability", "multiclass": "probabilities", "regression": "prediction", "ranking": "score"}


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a row."""

    name: str
    type: Literal["number", "integer", "boolean", "string", "datetime"]
    nullable: bool = False
    unknown: Literal["accept", "reject"] | None = None
    categories: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    description: str | None = None
    unit: str | None = None
    example: Any = None
    quantiles: tuple[float, ...] | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest number, inclusive; what float32 can hold where the contract is silent."""
        widest = EXACT_FLOAT32 if self.type == "integer" else FLOAT32_MAX
        low = -widest if self.minimum is None else max(self.minimum, -widest)
        return low, widest if self.maximum is None else min(self.maximum, widest)

    @property
    def rejects(self) -> bool:
        """Whether a text outside `categories` refuses the row."""
        return self.categories is not None and self.unknown == "reject"


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What comes back for a row."""

    name: str
    type: Literal["number"] = "number"
    minimum: float | None = None
    maximum: float | None = None
    classes: tuple[str | int, ...] | None = None
    description: str | None = None
    quantiles: tuple[float, ...] | None = None


class Graph(msgspec.Struct, frozen=True):
    """The order of columns in each of the graph's inputs."""

    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    times: tuple[str, ...] = ()


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of one model, as its callers see it."""

    schema_version: Literal[1]
    project: str
    task: Literal["binary", "multiclass", "regression", "ranking"]
    inputs: tuple[Input, ...]
    output: Output
    graph: Graph
    description: str | None = None

    def input(self, name: str) -> Input:
        """Return the input of this name."""
        return next(column for column in self.inputs if column.name == name)


def parse(raw: bytes) -> Signature:
    """
    Read `signature.json`.

    Raises:
        BundleError: reason `format`, naming the place.
    """
    try:
        signature = msgspec.json.decode(raw, type=Signature)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError("format", f"signature.json: {error}") from error
    fault = _fault(signature)
    if fault:
        raise BundleError("format", f"signature.json: {fault}")
    return msgspec.structs.replace(signature, inputs=tuple(_normal(column) for column in signature.inputs))


def _normal(column: Input) -> Input:
    """Bring categories to the form in which texts reach the graph."""
    if column.categories is None:
        return column
    return msgspec.structs.replace(column, categories=tuple(normalize("NFC", text) for text in column.categories))


def _fault(signature: Signature) -> str | None:
    names = [column.name for column in signature.inputs]
    if not names:
        return "inputs: none"
    if len(set(names)) < len(names):
        return "inputs: a name appears twice"
    return (
        _graph_fault(signature)
        or _output_fault(signature)
        or next(filter(None, map(_input_fault, signature.inputs)), None)
    )


def _graph_fault(signature: Signature) -> str | None:
    for group in ("numbers", "texts", "times"):
        wanted = {column.name for column in signature.inputs if _GROUPS[column.type] == group}
        given = getattr(signature.graph, group)
        if set(given) != wanted or len(given) != len(wanted):
            return f"graph.{group}: not exactly the inputs of its types"
    return None


def _output_fault(signature: Signature) -> str | None:
    output = signature.output
    if output.name != _NAMES[signature.task]:
        return f"output.name: {output.name}, but a {signature.task} model gives {_NAMES[signature.task]}"
    if signature.task == "multiclass" and not output.classes:
        return "output.classes: missing for a multiclass model"
    return None


def _input_fault(column: Input) -> str | None:
    if column.type == "datetime" and column.nullable:
        return f"inputs.{column.name}: a datetime cannot be nullable"
    if column.bounds[0] > column.bounds[1]:
        return f"inputs.{column.name}: minimum above maximum"
    cuts = column.quantiles or ()
    if any(not math.isfinite(cut) for cut in cuts) or list(cuts) != sorted(cuts):
        return f"inputs.{column.name}: quantiles are not in ascending order"
    return None
